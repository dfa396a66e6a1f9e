"""Which answers wait for the next step and which do not; the clock is in the test's hands."""

from __future__ import annotations

import pytest

from modelkit.serve.runner.frames import Answer, Body, Failure
from modelkit.serve.runner.outbox import Outbox
from modelkit.serve.types import Finished, Piece, Stats


class Steps:
    """An outbox, what it sent, and a clock that only steps move."""

    def __init__(self) -> None:
        self.sent: list[list[Answer]] = []
        self.now = 0.0
        self.outbox = Outbox(self.sent.append, clock=lambda: self.now)

    def step(self, seconds: float, *bodies: Body, id_: int = 1) -> list[str]:
        """The texts that are sent after a step of that length with these answers."""
        self.now += seconds
        before = len(self.sent)
        self.outbox.add([Answer(id_, body) for body in bodies])
        self.outbox.step_ended()
        return self.texts(before)

    def texts(self, since: int = 0) -> list[str]:
        answers = [answer.body for batch in self.sent[since:] for answer in batch]
        return [body.text if isinstance(body, Piece) else type(body).__name__ for body in answers]


@pytest.fixture
def steps() -> Steps:
    return Steps()


def _finished() -> Finished:
    return Finished(reason="stop", prompt_tokens=1, prompt_ns=1, tokens=1, ns=1, context=[])


def test_pieces_of_slow_steps_leave_at_once(steps: Steps) -> None:
    assert [steps.step(0.02, Piece(text)) for text in "abc"] == [["a"], ["b"], ["c"]]


def test_pieces_of_fast_steps_leave_together(steps: Steps) -> None:
    sent = [steps.step(0.006, Piece(text)) for text in "abcdefg"]
    assert sent == [["a"], [], [], ["b", "c", "d"], [], [], ["e", "f", "g"]]


def test_the_first_piece_of_another_answer_takes_the_held_ones_along(steps: Steps) -> None:
    steps.step(0.001, Piece("a"))
    assert steps.step(0.001, Piece("b")) == []
    assert steps.step(0.001, Piece("x"), id_=2) == ["b", "x"]


def test_an_end_does_not_wait(steps: Steps) -> None:
    steps.step(0.001, Piece("a"))
    assert steps.step(0.001, Piece("b")) == []
    assert steps.step(0.001, Piece("c"), _finished()) == ["b", "c", "Finished"]


def test_what_is_no_text_does_not_wait(steps: Steps) -> None:
    steps.step(0.001, Piece("a"))
    assert steps.step(0.001, Stats(1, 0, 9), id_=2) == ["Stats"]
    assert steps.step(0.001, Failure("engine", "it broke")) == ["Failure"]


def test_one_fast_step_after_slow_ones_is_trusted_only_as_long_as_pieces_may_wait(
    steps: Steps,
) -> None:
    steps.step(0.010, Piece("a"))
    assert steps.step(0.001, Piece("b")) == []
    assert steps.step(0.010, Piece("c")) == ["b", "c"]


def test_a_flush_sends_what_is_held_once(steps: Steps) -> None:
    steps.step(0.001, Piece("a"))
    steps.step(0.001, Piece("b"))
    steps.outbox.flush()
    steps.outbox.flush()
    assert steps.texts() == ["a", "b"]


def test_a_request_id_that_comes_again_after_its_end_has_a_first_piece_again(steps: Steps) -> None:
    steps.step(0.001, Piece("a"), _finished())
    assert steps.step(0.001, Piece("b")) == ["b"]
    steps.outbox.forget(1)
    assert steps.step(0.001, Piece("c")) == ["c"]
