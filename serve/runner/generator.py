"""Everything that is being written: who waits, who has a slot, whose turn it is."""

from __future__ import annotations

from bisect import insort
from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING

from modelkit.errors import EngineError
from modelkit.serve.runner.cache.slots import Slots
from modelkit.serve.runner.frames import Answer, Failure
from modelkit.serve.runner.steps import Stepper
from modelkit.serve.types import Finished

if TYPE_CHECKING:
    from modelkit.serve.runner.cache.snapshots import Snapshots
    from modelkit.serve.runner.llama.context import Context
    from modelkit.serve.runner.sequence import Sequence
    from modelkit.serve.runner.speculation.drafter import Drafter
    from modelkit.serve.types import LoadOptions

_slot = attrgetter("slot")


class Generator:
    """Runs the sequences of one context, `num_parallel` at a time, first come first served.

    llama.cpp applies one set of adapters to a whole batch: sequences with the same set go on
    together, and the sets take turns, one step each.
    """

    def __init__(
        self,
        context: Context,
        options: LoadOptions,
        *,
        drafter: Drafter | None = None,
        snapshots: Snapshots | None = None,
    ) -> None:
        self._drafter = drafter
        self._slots = Slots(context, options.num_parallel, snapshots)
        self._stepper = Stepper(context, self._slots, options.num_batch, drafter)
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []
        self._turn = ""

    @property
    def active(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def decoded(self) -> int:
        """Tokens decoded ever, of prompts and answers."""
        return self._stepper.decoded

    def submit(self, sequence: Sequence) -> None:
        self._waiting.append(sequence)

    def save(self) -> None:
        """End what runs; copy what the slots hold then."""
        for sequence in list(self._running):
            self._retire(sequence)
        self._slots.save()

    def cancel(self, id_: int) -> None:
        """End the sequences of a request; what they read stays in the cache."""
        for sequence in [s for s in self._running if s.id == id_]:
            self._retire(sequence)
        for sequence in [s for s in self._waiting if s.id == id_]:
            self._waiting.remove(sequence)
            sequence.free()

    def step(self) -> list[Answer]:
        """Give free slots to those that wait, let one set of adapters go on by one batch."""
        self._admit()
        sequences = self._choose()
        if not sequences:
            return []
        try:
            outcomes = self._stepper.step(sequences)
        except EngineError as error:
            return self._fail(sequences, error)
        answers = []
        for sequence, events, failure in outcomes:
            answers += [Answer(sequence.id, event) for event in events]
            if failure:
                answers += self._fail([sequence], failure)
            elif events and isinstance(events[-1], Finished):
                self._retire(sequence)
        return answers

    def _admit(self) -> None:
        while self._waiting and self._slots.any_free:
            sequence = self._waiting.popleft()
            self._slots.take(sequence)
            # llama.cpp decodes neighbours together when each has cells of its own.
            insort(self._running, sequence, key=_slot)

    def _choose(self) -> list[Sequence]:
        ready = self._slots.ready(self._running)
        groups = list({sequence.group: None for sequence in ready})
        if len(groups) < 2:
            return list(ready)
        after = groups.index(self._turn) + 1 if self._turn in groups else 0
        self._turn = groups[after % len(groups)]
        return [sequence for sequence in ready if sequence.group == self._turn]

    def _retire(self, sequence: Sequence) -> None:
        self._slots.release(sequence)
        if self._drafter:
            self._drafter.release(sequence.slot)
        sequence.free()
        self._running.remove(sequence)

    def _fail(self, sequences: list[Sequence], error: EngineError) -> list[Answer]:
        """What their cells hold now, nobody knows."""
        for sequence in sequences:
            sequence.position = 0
            self._retire(sequence)
        return [Answer(sequence.id, Failure("engine", error.message)) for sequence in sequences]
