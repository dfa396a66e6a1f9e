"""What rides along in a step: guesses from the text or from a draft model, cut to their use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modelkit.serve.runner.llama.log import Log
from modelkit.serve.runner.llama.model import Model
from modelkit.serve.runner.speculation.draft import DraftModel
from modelkit.serve.runner.speculation.drafter import Drafter

_PERIODIC = [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]


@dataclass
class _Writer:
    """A sequence with a text; its grammar forbids some tokens."""

    slot: int
    tokens: list[int]
    most_guesses: int = 100
    forbidden: set[int] = field(default_factory=set)

    def permitted(self, guesses: Sequence[int]) -> int:
        bad = [place for place, token in enumerate(guesses) if token in self.forbidden]
        return bad[0] if bad else len(guesses)


def _lookup_drafter(most: int = 4) -> Drafter:
    """One that knows that a step takes the same time with guesses as without."""
    drafter = Drafter(most)
    for size in (1, 2, 8, 64):
        drafter.stepped(size, 1.0)
    return drafter


def _draft_model(path: Path, slots: int = 2) -> DraftModel:
    model = Model(str(path), Log())
    return DraftModel(model, n_ctx=256, num_batch=64, num_parallel=slots, threads=1)


def test_a_repeated_text_is_guessed_on() -> None:
    writers = [_Writer(0, _PERIODIC), _Writer(1, [5, 6, 7, 8, 9])]
    assert _lookup_drafter().propose(writers, size=2, room=100) == {0: [3, 4, 1, 2]}


@pytest.mark.parametrize(("most", "room", "expected"), [(4, 5, 2), (4, 0, 0), (1, 100, 1)])
def test_guesses_share_the_room_that_there_is(most: int, room: int, expected: int) -> None:
    writers = [_Writer(0, _PERIODIC), _Writer(1, _PERIODIC)]
    guesses = _lookup_drafter(most).propose(writers, size=2, room=room)
    assert [len(guesses.get(slot, [])) for slot in (0, 1)] == [expected, expected]


def test_no_more_is_guessed_than_may_still_be_written() -> None:
    writers = [_Writer(0, _PERIODIC, most_guesses=3), _Writer(1, _PERIODIC, most_guesses=0)]
    assert _lookup_drafter().propose(writers, size=2, room=100) == {0: [3, 4, 1]}


def test_a_grammar_cuts_guesses() -> None:
    writers = [_Writer(0, _PERIODIC, forbidden={1}), _Writer(1, _PERIODIC, forbidden={3})]
    assert _lookup_drafter().propose(writers, size=2, room=100) == {0: [3, 4]}


def test_a_text_that_was_shortened_is_indexed_again() -> None:
    drafter = _lookup_drafter()
    drafter.propose([_Writer(0, _PERIODIC)], size=1, room=100)
    drafter.forget(0)
    assert drafter.propose([_Writer(0, [9, 2, 5, 6, 9, 2])], size=1, room=100) == {0: [5, 6, 9, 2]}


def test_a_slot_whose_sequence_ended_keeps_nothing_of_it() -> None:
    drafter = _lookup_drafter()
    drafter.propose([_Writer(0, _PERIODIC)], size=1, room=100)
    drafter.release(0)
    assert drafter.propose([_Writer(0, [8, 9, 1, 2])], size=1, room=100) == {}


def test_wrong_guesses_switch_guessing_off_for_their_sequence() -> None:
    drafter = Drafter(4)
    for size, seconds in ((1, 1.0), (5, 2.0)):
        drafter.stepped(size, seconds)
    writer = _Writer(0, _PERIODIC)
    guessed = 0
    for _ in range(200):
        guesses = drafter.propose([writer], size=1, room=100)
        drafter.stepped(1 + len(guesses.get(0, [])), 1.0 + len(guesses.get(0, [])) / 4)
        drafter.verified(0, len(guesses.get(0, [])), 0)
        guessed += bool(guesses)
    assert 2 <= guessed < 30


def test_a_draft_model_guesses_for_texts_that_repeat_nothing(llama: Path) -> None:
    drafter = Drafter(3, _draft_model(llama))
    drafter.stepped(2, 1.0)
    texts = [[1, 300, 301], [1, 310, 311, 312]]
    guesses = drafter.propose([_Writer(i, text) for i, text in enumerate(texts)], size=2, room=100)
    alone = Drafter(3, _draft_model(llama))
    alone.stepped(1, 1.0)
    assert {len(found) for found in guesses.values()} == {3}
    assert alone.propose([_Writer(0, texts[1])], size=1, room=100)[0] == guesses[1]


def test_a_draft_model_that_fails_is_switched_off(
    llama: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    drafter = Drafter(4, _draft_model(llama))
    drafter.stepped(1, 1.0)
    beyond_vocabulary = [10**6]
    assert drafter.propose([_Writer(0, beyond_vocabulary)], size=1, room=100) == {}
    assert "W the draft model is switched off: llama.cpp failed" in capfd.readouterr().err
    assert drafter.propose([_Writer(0, _PERIODIC)], size=1, room=100) == {0: [3, 4, 1, 2]}
