"""One decode of many sequences: what goes into the batch, and what comes out of it."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

from modelkit.errors import EngineError
from modelkit.serve.runner.adapters import NO_ADAPTERS
from modelkit.serve.runner.llama.batch import Batch
from modelkit.serve.runner.llama.context import CacheFull

if TYPE_CHECKING:
    from collections.abc import Sequence as Run

    from modelkit.serve.runner.adapters import AdapterSet
    from modelkit.serve.runner.cache.slots import Slots
    from modelkit.serve.runner.llama.context import Context
    from modelkit.serve.runner.sequence import Event, Sequence
    from modelkit.serve.runner.speculation.drafter import Drafter

MIXED_CHUNK = 128
"""How many prompt tokens are read in one step while other sequences write.

They wait for the whole step. More would not read a prompt faster: a token costs the processor the
same in parts of 64, of 128 and of 256.
"""


# Plain tuples: making a named one takes a microsecond, and there are two for each token.
Outcome: TypeAlias = "tuple[Sequence, list[Event], EngineError | None]"
"""What a step brought a sequence; an error instead of events when only this one failed."""
_Packed: TypeAlias = "tuple[Sequence, Run[int], list[int]]"
"""A sequence whose tokens are all in the batch, where its logits are, and the guesses."""


class Stepper:
    """Decodes the sequences it is given together, one batch a step."""

    def __init__(
        self, context: Context, slots: Slots, num_batch: int, drafter: Drafter | None = None
    ) -> None:
        self._context = context
        self._slots = slots
        self._adapters = NO_ADAPTERS
        self._batch = Batch(num_batch)
        self._drafter = drafter
        self.decoded = 0

    def step(self, sequences: list[Sequence]) -> list[Outcome]:
        """Let each go on: those that write by what they wrote, the others by a part of the prompt.

        All must have the same adapters. Raises EngineError when the batch failed, and with it
        every sequence.
        """
        self._apply(sequences[0].adapters)
        for sequence in sequences:
            if sequence.room <= 0:
                self._shift(sequence)
        started = perf_counter()
        reads = not all(sequence.writes for sequence in sequences)
        packed = self._pack(sequences, reads)
        self._decode()
        self.decoded += len(self._batch)
        outcomes = [self._accept(each) for each in packed]
        if self._drafter and not reads:
            self._drafter.stepped(len(self._batch), perf_counter() - started)
        return outcomes

    def _apply(self, adapters: AdapterSet) -> None:
        if adapters.name != self._adapters.name:
            self._context.set_adapters(adapters.handles)
            self._adapters = adapters

    def _shift(self, sequence: Sequence) -> None:
        self._slots.shift(sequence)
        if self._drafter:
            self._drafter.forget(sequence.slot)

    def _decode(self) -> None:
        try:
            self._context.decode(self._batch)
        except CacheFull:
            # What nobody uses now must not stand in the way of those who run.
            if not self._slots.drop_idle():
                raise
            self._context.decode(self._batch)

    def _pack(self, sequences: list[Sequence], reads: bool) -> list[_Packed]:
        counts = shares(sequences, self._batch.capacity)
        # A step that reads is as long as the processor needs to multiply: guesses are not free.
        guesses = (
            {} if reads or not self._drafter else self._propose(self._drafter, sequences, counts)
        )
        self._batch.clear()
        packed = []
        for sequence, count in zip(sequences, counts, strict=True):
            is_complete = count == sequence.pending
            last = self._add(sequence, count, output=is_complete)
            if is_complete:
                found = guesses.get(sequence.slot, [])
                packed.append((sequence, self._add_guesses(sequence, last, found), found))
                sequence.prepare()
        return packed

    def _propose(
        self, drafter: Drafter, sequences: list[Sequence], counts: list[int]
    ) -> dict[int, list[int]]:
        size = sum(counts)
        complete = [s for s, count in zip(sequences, counts, strict=True) if count == s.pending]
        return drafter.propose(complete, size=size, room=self._batch.capacity - size)

    def _add(self, sequence: Sequence, count: int, *, output: bool) -> int:
        """Put in the next tokens of a sequence; the batch index of the last of them."""
        start, slot = sequence.position, sequence.slot
        sequence.position += count
        if count == 1:
            return self._batch.add(sequence.tokens[start], start, slot, output=output)
        last = self._batch.extend(sequence.tokens[start : start + count], start, slot)
        if output:
            self._batch.want_output(last)
        return last

    def _add_guesses(self, sequence: Sequence, last: int, guesses: list[int]) -> Run[int]:
        """The batch indices whose logits are wanted: of the last token and of each guess."""
        if guesses:
            self._batch.extend(guesses, sequence.position, sequence.slot, output_all=True)
        return range(last, len(self._batch))

    def _accept(self, packed: _Packed) -> Outcome:
        sequence, indices, guesses = packed
        end = sequence.position
        try:
            events = sequence.accept(self._context, indices, guesses)
        except EngineError as error:
            sequence.position = end
            self._context.trim(sequence.slot, end)
            return sequence, [], error
        if guesses and self._drafter:
            right = sequence.position - end
            self._drafter.verified(sequence.slot, len(guesses), right)
            if right < len(guesses):
                self._context.trim(sequence.slot, sequence.position)
        return sequence, events, None


def shares(sequences: list[Sequence], capacity: int) -> list[int]:
    """How many tokens of each go into a batch: few are taken whole, many get equal shares.

    Prompts are read in smaller parts while others write, see MIXED_CHUNK.
    """
    wanted = [min(sequence.pending, sequence.room) for sequence in sequences]
    written = [want for want, each in zip(wanted, sequences, strict=True) if each.writes]
    left = min(capacity, sum(written) + MIXED_CHUNK) if written else capacity
    if sum(wanted) <= left:
        return wanted
    counts = [0] * len(wanted)
    for place, index in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        counts[index] = min(wanted[index], left // (len(wanted) - place))
        left -= counts[index]
    return counts
