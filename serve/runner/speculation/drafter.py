"""Which tokens ride along to be verified: guesses of a draft model, or of a lookup in the text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from modelkit.errors import EngineError
from modelkit.serve.runner.speculation.draft import Wish
from modelkit.serve.runner.speculation.economy import Economy, Measurements
from modelkit.serve.runner.speculation.lookup import PromptLookup

if TYPE_CHECKING:
    from modelkit.serve.runner.speculation.draft import DraftModel


class Writer(Protocol):
    """A sequence that is to write its next token."""

    slot: int

    @property
    def tokens(self) -> Sequence[int]:
        """The whole text, of which it writes the continuation."""
        ...

    @property
    def most_guesses(self) -> int:
        """How many guesses it has use for: less than the tokens it may still write."""
        ...

    def permitted(self, guesses: Sequence[int]) -> int:
        """How many of these its grammar allows to come next."""
        ...


class _Slot:
    """What is known of the sequence in a slot."""

    def __init__(self, economy: Economy) -> None:
        self.economy = economy
        self.lookup = PromptLookup()

    def look_up(self, tokens: Sequence[int], count: int) -> list[int]:
        self.lookup.extend(tokens[len(self.lookup) :])
        return self.lookup.propose(count)


class Drafter:
    """Guesses up to `most` tokens for each writing sequence, while that makes it faster."""

    def __init__(self, most: int, draft: DraftModel | None = None) -> None:
        self.most = most
        self._draft = draft
        self._measurements = Measurements()
        self._slots: dict[int, _Slot] = {}

    def propose(self, writers: Sequence[Writer], *, size: int, room: int) -> dict[int, list[int]]:
        """Guesses by slot, none of them empty.

        `size` is the tokens that all writers put into the batch without guesses, `room` how many
        more may go in.
        """
        share = min(self.most, room // max(len(writers), 1))
        most = {writer.slot: min(share, writer.most_guesses) for writer in writers}
        able = [writer for writer in writers if most[writer.slot] > 0]
        guess = self._draft_ahead if self._draft else self._look_up
        return _permitted(able, guess(able, most, size))

    def verified(self, slot: int, guessed: int, accepted: int) -> None:
        """Of the guesses for a slot the first `accepted` were right."""
        self._slot(slot).economy.record(guessed, accepted)

    def stepped(self, size: int, seconds: float) -> None:
        """A step of `size` tokens, guesses included, took so long and read no prompt."""
        self._measurements.record_step(size, seconds)

    def forget(self, slot: int) -> None:
        """The text in a slot is no longer a continuation of what it was: some was dropped."""
        self._slot(slot).lookup = PromptLookup()
        if self._draft:
            self._draft.forget(slot)

    def release(self, slot: int) -> None:
        """The sequence in a slot has ended."""
        self._slots.pop(slot, None)
        if self._draft:
            self._draft.forget(slot)

    def _slot(self, slot: int) -> _Slot:
        if slot not in self._slots:
            self._slots[slot] = _Slot(Economy(self._measurements, self.most))
        return self._slots[slot]

    def _look_up(
        self, writers: Sequence[Writer], most: dict[int, int], size: int
    ) -> dict[int, list[int]]:
        guesses = {}
        for writer in writers:
            slot = self._slot(writer.slot)
            found = slot.look_up(writer.tokens, most[writer.slot])
            # Asked only where there is something to guess: a try is not spent on nothing.
            guesses[writer.slot] = found[: slot.economy.length(size)] if found else []
        return guesses

    def _draft_ahead(
        self, writers: Sequence[Writer], most: dict[int, int], size: int
    ) -> dict[int, list[int]]:
        wishes = {}
        for writer in writers:
            count = min(self._slot(writer.slot).economy.length(size), most[writer.slot])
            if count:
                wishes[writer.slot] = Wish(writer.tokens, count)
        return self._drafted(wishes) if wishes else {}

    def _drafted(self, wishes: dict[int, Wish]) -> dict[int, list[int]]:
        """The draft model's guesses; without it from here on when it fails."""
        if not self._draft:
            return {}
        started = perf_counter()
        try:
            guesses = self._draft.propose(wishes)
        except EngineError as error:
            sys.stderr.write(f"W the draft model is switched off: {error.message}\n")
            self._draft = None
            return {}
        # Catching up with a text is paid once and says nothing about the price of a guess.
        if self._draft.read <= (self.most + 1) * len(wishes):
            count = sum(map(len, guesses.values()))
            self._measurements.record_guesses(count, perf_counter() - started)
        return guesses


def _permitted(writers: Sequence[Writer], guesses: dict[int, list[int]]) -> dict[int, list[int]]:
    """The guesses without what grammars forbid."""
    kept = {}
    for writer in writers:
        if found := guesses.get(writer.slot):
            kept[writer.slot] = found[: writer.permitted(found)]
    return {slot: found for slot, found in kept.items() if found}
