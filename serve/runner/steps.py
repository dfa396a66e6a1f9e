"""One decode of many sequences: what goes into the batch, and what comes out of it."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from modelkit.errors import EngineError
from modelkit.serve.runner.adapters import NO_ADAPTERS
from modelkit.serve.runner.llama.batch import Batch
from modelkit.serve.runner.llama.context import CacheFull

if TYPE_CHECKING:
    from modelkit.serve.runner.adapters import AdapterSet
    from modelkit.serve.runner.llama.context import Context
    from modelkit.serve.runner.sequence import Event, Sequence
    from modelkit.serve.runner.slots import Slots
    from modelkit.serve.runner.speculation.drafter import Drafter

MIXED_CHUNK = 128
"""How many prompt tokens are read in one step while other sequences write.

They wait for the whole step. Twice as many would read a prompt hardly faster: from about 100
tokens on the processor is busy multiplying, not fetching weights.
"""


class Outcome(NamedTuple):
    """What a step brought a sequence; `failure` instead of events when only this one failed."""

    sequence: Sequence
    events: list[Event]
    failure: EngineError | None = None


class _Packed(NamedTuple):
    """A sequence whose tokens are all in the batch: where its logits are, and the guesses."""

    sequence: Sequence
    indices: list[int]
    guesses: list[int]


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
        complete = [s for s, count in zip(sequences, counts, strict=True) if count == s.pending]
        guesses: dict[int, list[int]] = {}
        # A step that reads is as long as the processor needs to multiply: guesses are not free.
        if self._drafter and not reads:
            size = sum(counts)
            room = self._batch.capacity - size
            guesses = self._drafter.propose(complete, size=size, room=room)
        self._batch.clear()
        packed = []
        for sequence, count in zip(sequences, counts, strict=True):
            last = self._add(sequence, count)
            if not sequence.pending:
                packed.append(self._add_guesses(sequence, last, guesses.get(sequence.slot, [])))
                sequence.prepare()
        return packed

    def _add(self, sequence: Sequence, count: int) -> int:
        """Put in the next tokens of a sequence; the batch index of the last of them."""
        start = sequence.position
        sequence.position += count
        if count == 1:
            return self._batch.add(sequence.tokens[start], start, sequence.slot, output=False)
        return self._batch.extend(sequence.tokens[start : start + count], start, sequence.slot)

    def _add_guesses(self, sequence: Sequence, last: int, guesses: list[int]) -> _Packed:
        self._batch.want_output(last)
        if guesses:
            self._batch.extend(guesses, sequence.position, sequence.slot, output_all=True)
        return _Packed(sequence, list(range(last, len(self._batch))), guesses)

    def _accept(self, packed: _Packed) -> Outcome:
        sequence, indices, guesses = packed
        end = sequence.position
        try:
            events = sequence.accept(self._context, indices, guesses)
        except EngineError as error:
            sequence.position = end
            self._context.trim(sequence.slot, end)
            return Outcome(sequence, [], error)
        if guesses and self._drafter:
            right = sequence.position - end
            self._drafter.verified(sequence.slot, len(guesses), right)
            if right < len(guesses):
                self._context.trim(sequence.slot, sequence.position)
        return Outcome(sequence, events)


def shares(sequences: list[Sequence], capacity: int) -> list[int]:
    """How many tokens of each go into a batch: few are taken whole, many get equal shares.

    Prompts are read in smaller parts while others write, see MIXED_CHUNK.
    """
    wanted = [min(sequence.pending, sequence.room) for sequence in sequences]
    written = [want for want, each in zip(wanted, sequences, strict=True) if each.writes]
    left = min(capacity, sum(written) + MIXED_CHUNK) if written else capacity
    counts = [0] * len(wanted)
    for place, index in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        counts[index] = min(wanted[index], left // (len(wanted) - place))
        left -= counts[index]
    return counts
