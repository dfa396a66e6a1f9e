"""When guessing is on: simulated models with known times and known acceptance."""

from __future__ import annotations

import random

import pytest

from modelkit.serve.runner.speculation.economy import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Economy,
    Measurements,
)

_LIMIT = 4


class _Machine:
    """A model whose step costs `fixed` and 1 for each token, and accepts guesses with a chance."""

    def __init__(self, *, fixed: float, acceptance: float, guess: float = 0.0) -> None:
        self.measurements = Measurements()
        self.economy = Economy(self.measurements, _LIMIT)
        self.seconds = 0.0
        self.tokens = 0
        self._fixed = fixed
        self._guess = guess
        self._acceptance = acceptance
        self._random = random.Random(3)

    def step(self, writers: int = 1) -> int:
        count = self.economy.length(writers)
        seconds = self._fixed + writers + count
        self.measurements.record_step(writers + count, seconds)
        self.measurements.record_guesses(count, count * self._guess)
        accepted = 0
        while accepted < count and self._random.random() < self._acceptance:
            accepted += 1
        self.economy.record(count, accepted)
        self.seconds += seconds + count * self._guess
        self.tokens += accepted + 1
        return count

    def speed_up(self, steps: int = 3000) -> float:
        """Tokens per second of one sequence against plain decoding."""
        for _ in range(steps):
            self.step()
        return self.tokens / self.seconds * (self._fixed + 1)


@pytest.mark.parametrize("acceptance", [0.0, 0.2, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("guess", [0.0, 1.0, 20.0])
@pytest.mark.parametrize("fixed", [0.0, 2.0, 20.0])
def test_it_never_costs_much(fixed: float, guess: float, acceptance: float) -> None:
    machine = _Machine(fixed=fixed, acceptance=acceptance, guess=guess)
    assert machine.speed_up() > 0.93


def test_it_is_off_but_for_rare_tries_when_guesses_are_wrong() -> None:
    machine = _Machine(fixed=5.0, acceptance=0.0)
    assert sum(machine.step() > 0 for _ in range(2000)) < 30
    assert any(machine.step() for _ in range(LONGEST_PAUSE + 1))


def test_it_is_off_when_a_guess_costs_as_much_as_a_token() -> None:
    machine = _Machine(fixed=0.0, acceptance=0.9)
    for _ in range(100):
        machine.step()
    assert sum(machine.step() > 0 for _ in range(500)) <= 8


def test_good_guesses_on_a_machine_that_batches_well_are_used_in_full() -> None:
    machine = _Machine(fixed=20.0, acceptance=0.95)
    assert machine.speed_up() > 3.4  # 4.5 tokens for 25 instead of 21
    assert machine.step() == _LIMIT


def test_middling_guesses_are_kept_short() -> None:
    machine = _Machine(fixed=3.0, acceptance=0.6)
    for _ in range(300):
        machine.step()
    counts = [machine.step() for _ in range(300)]
    assert 0.5 < sum(counts) / len(counts) < 3.5
    assert machine.speed_up() > 1.05


def test_it_comes_back_when_guesses_become_right() -> None:
    machine = _Machine(fixed=20.0, acceptance=0.0)
    for _ in range(1000):
        machine.step()
    machine._acceptance = 1.0
    for _ in range(2 * LONGEST_PAUSE):
        machine.step()
    assert machine.step() == _LIMIT


def test_many_writers_need_no_guesses_where_one_does() -> None:
    machine = _Machine(fixed=4.0, acceptance=0.6)
    for _ in range(300):
        machine.step(1)
    alone = sum(machine.step(1) for _ in range(200))
    for _ in range(100):
        machine.step(32)
    assert sum(machine.step(32) for _ in range(200)) < alone / 3


def test_nothing_is_guessed_before_a_plain_step_was_measured() -> None:
    measurements = Measurements()
    economy = Economy(measurements, _LIMIT)
    assert economy.length(2) == 0
    measurements.record_step(2, 1.0)
    assert economy.length(2) == _LIMIT


def test_a_new_sequence_starts_from_what_others_learnt() -> None:
    measurements = Measurements()
    measurements.record_step(1, 1.0)
    measurements.record_step(5, 2.5)
    for _ in range(60):
        Economy(measurements, _LIMIT).record(_LIMIT, 0)
    assert Economy(measurements, _LIMIT).length(1) == 0


def test_times_between_measured_sizes_are_interpolated_and_beyond_them_unknown() -> None:
    measurements = Measurements()
    measurements.record_step(2, 10.0)
    measurements.record_step(6, 30.0)
    assert measurements.step_seconds(4) == pytest.approx(20.0)
    assert measurements.step_seconds(1) == pytest.approx(5.0)
    assert measurements.step_seconds(7) is None


def test_one_disturbed_step_hardly_counts() -> None:
    measurements = Measurements()
    measurements.record_step(1, 1.0)
    measurements.record_step(1, 1000.0)
    assert measurements.step_seconds(1) == pytest.approx(1.4)


def test_the_first_pause_is_short() -> None:
    machine = _Machine(fixed=5.0, acceptance=0.0)
    counts = [machine.step() for _ in range(4 * FIRST_PAUSE)]
    off = counts.index(0, counts.index(_LIMIT))
    assert counts[off : off + FIRST_PAUSE] == [0] * FIRST_PAUSE
    assert counts[off + FIRST_PAUSE] == _LIMIT
