"""When guessing pays: decided from measured acceptance and measured times, never from a table."""

from __future__ import annotations

# Weight of a new sample in the moving averages of times and of acceptance.
_TIME_WEIGHT = 0.2
_ACCEPTANCE_WEIGHT = 0.1
# A step that took this many times the usual was disturbed by something else.
_OUTLIER = 3.0
# Half of the first guesses are right: the first steps find out.
_FIRST_ACCEPTANCE = 0.5
# After how many times its own cost a try is repeated, doubled after each that did not pay.
FIRST_PAUSE = 16
LONGEST_PAUSE = 512


class Measurements:
    """What all sequences of a runner learnt: seconds of steps and of guesses, and acceptance."""

    def __init__(self) -> None:
        self.acceptance = _FIRST_ACCEPTANCE
        self.guess_seconds = 0.0
        self._steps: dict[int, float] = {}

    def record_step(self, size: int, seconds: float) -> None:
        """A step that decoded and verified `size` tokens and read no prompt took so long."""
        self._steps[size] = _average(self._steps.get(size), seconds)

    def record_guesses(self, count: int, seconds: float) -> None:
        """Guessing `count` tokens took so long; a lookup takes no time worth telling."""
        if count:
            self.guess_seconds = _average(self.guess_seconds or None, seconds / count)

    def record_trial(self, right: bool) -> None:
        """A guess was verified, and all those before it were right."""
        self.acceptance += _ACCEPTANCE_WEIGHT * (right - self.acceptance)

    def step_seconds(self, size: int) -> float | None:
        """The time of a step with `size` tokens: measured, or on the line between two sizes.

        None when no larger size was measured either.
        """
        if size in self._steps:
            return self._steps[size]
        above = min((known for known in self._steps if known > size), default=None)
        if above is None:
            return None
        below = max((known for known in self._steps if known < size), default=0)
        start = self._steps.get(below, 0.0)
        return start + (self._steps[above] - start) * (size - below) / (above - below)


class Economy:
    """For one sequence: how many tokens to guess now, so that tokens per second go up."""

    def __init__(self, measurements: Measurements, limit: int) -> None:
        self._measurements = measurements
        self._limit = limit
        self._acceptance = measurements.acceptance
        self._pause = 0
        self._next_pause = FIRST_PAUSE

    def length(self, writers: int) -> int:
        """How many tokens to guess in a step where `writers` sequences write; 0 while it is off."""
        plain = self._measurements.step_seconds(writers)
        if plain is None:
            return 0
        if self._pause:
            self._pause -= 1
            # The end of a pause is the next try, whatever was measured before it.
            return 0 if self._pause else self._limit
        best = max(range(self._limit + 1), key=lambda count: self._rate(writers, count, plain))
        if best:
            self._next_pause = FIRST_PAUSE
        else:
            self._pause = round(self._next_pause * max(self._try_cost(writers, plain), 1.0))
            self._next_pause = min(2 * self._next_pause, LONGEST_PAUSE)
        return best

    def record(self, guessed: int, accepted: int) -> None:
        """Of `guessed` tokens the first `accepted` were what the model wrote."""
        for place in range(min(accepted + 1, guessed)):
            right = place < accepted
            self._acceptance += _ACCEPTANCE_WEIGHT * (right - self._acceptance)
            self._measurements.record_trial(right)

    def _rate(self, writers: int, count: int, plain: float) -> float:
        """Expected tokens per second of the whole step with `count` guesses."""
        expected = sum(self._acceptance**place for place in range(1, count + 1))
        return (writers + expected) / self._seconds(writers, count, plain)

    def _seconds(self, writers: int, count: int, plain: float) -> float:
        # An unmeasured size is taken to cost nothing more: so it is measured.
        step = self._measurements.step_seconds(writers + count) or plain
        return step + count * self._measurements.guess_seconds

    def _try_cost(self, writers: int, plain: float) -> float:
        """What a step with all guesses costs beyond a plain one, in plain steps."""
        return self._seconds(writers, self._limit, plain) / plain - 1.0


def _average(old: float | None, new: float) -> float:
    if old is None:
        return new
    return old + _TIME_WEIGHT * (min(new, _OUTLIER * old) - old)
