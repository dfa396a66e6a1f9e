"""The prefix cache: what a sequence read and wrote stays in its slot for the next one.

No tensor is copied: a slot is taken over, or llama.cpp counts its cells as another slot's, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence as Run

    from modelkit.serve.runner.cache.snapshots import Snapshots
    from modelkit.serve.runner.llama.context import Context
    from modelkit.serve.runner.sequence import Sequence

MIN_WAIT = 64
"""A sequence waits for another one that reads the same only to save at least so many tokens."""

_BLOCK = 64


@dataclass(eq=False)
class _Slot:
    """A place for one sequence; without one, `tokens` is what the cells hold exactly."""

    index: int
    group: str = ""
    tokens: list[int] = field(default_factory=list)
    sequence: Sequence | None = None
    last_use: int = 0

    @property
    def held(self) -> list[int]:
        """The tokens whose cells are what reading them from the start would give."""
        return self.sequence.tokens[: self.sequence.exact] if self.sequence else self.tokens


@dataclass(frozen=True)
class _Leader:
    """Another sequence is just reading the same prompt, up to its first `length` tokens."""

    sequence: Sequence
    length: int


class Slots:
    """All slots of a context, and which of them begin like a new prompt.

    A slot holds at most num_ctx cells and the cache has that many for each, so there is always
    room. Texts of different groups, which are sets of adapters, share nothing.
    """

    def __init__(self, context: Context, count: int, snapshots: Snapshots | None = None) -> None:
        self._context = context
        self._slots = [_Slot(index) for index in range(count)]
        self._snapshots = snapshots
        self._clock = 0
        self._leaders: dict[Sequence, _Leader] = {}

    @property
    def any_free(self) -> bool:
        return any(slot.sequence is None for slot in self._slots)

    def take(self, sequence: Sequence) -> None:
        """Give a sequence a free slot; what the cache knows of its prompt counts as read.

        Its last token is always left to read: its logits are needed.
        """
        prompt = sequence.tokens[:-1]
        source, length = self._best(prompt, sequence.group)
        slot = self._destination(source, length)
        length = self._fill(slot, source, length, sequence)
        self._clock += 1
        slot.group, slot.sequence, slot.last_use = sequence.group, sequence, self._clock
        slot.tokens = []
        sequence.start(slot.index, length)
        if self._context.cuts_anywhere:
            self._find_leader(sequence, prompt)

    def release(self, sequence: Sequence) -> None:
        """The sequence is done: what it left in its slot may be of use to others."""
        self._leaders.pop(sequence, None)
        for follower in [f for f, leader in self._leaders.items() if leader.sequence is sequence]:
            self._catch_up(follower)
        slot = self._slots[sequence.slot]
        tokens = slot.held
        if not self._context.trim(slot.index, len(tokens)):
            self._context.remove(slot.index)
            tokens = []
        self._clock += 1
        slot.tokens, slot.sequence, slot.last_use = tokens, None, self._clock

    def ready(self, sequences: list[Sequence]) -> list[Sequence]:
        """Those that need not wait for another sequence that is reading what they would read."""
        if not self._leaders:
            return sequences
        for sequence, leader in list(self._leaders.items()):
            if leader.sequence.position >= leader.length:
                self._catch_up(sequence)
        return [sequence for sequence in sequences if sequence not in self._leaders]

    def shift(self, sequence: Sequence) -> None:
        """Make room in a sequence whose context is full: by a shift, or by reading it again.

        The cells that move may belong to others, too: those that have ended forget them, and for
        those that run the sequence gets cells of its own.
        """
        start = sequence.window.keep + sequence.window.discard(sequence.position)
        own = sequence.tokens[: sequence.exact]
        others = [slot for slot in self._slots if slot.sequence is not sequence]
        if not self._context.shares_cells:
            others = []
        sharing = [slot for slot in others if common_prefix(slot.held, own) > start]
        for slot in sharing:
            if slot.sequence is None:
                self._cut(slot, start)
        if any(slot.sequence for slot in sharing) and not self._separate(sequence):
            return
        sequence.shift(self._context)

    def save(self) -> None:
        """Copy what all slots hold, the most recently used first."""
        if not self._snapshots:
            return
        for slot in sorted(self._slots, key=lambda slot: -slot.last_use):
            if slot.sequence is None:
                self._snapshots.save(self._context, slot.index, slot.tokens, slot.group)

    def drop_idle(self) -> bool:
        """Forget all that no sequence uses now; False when there was nothing."""
        idle = [slot for slot in self._slots if slot.sequence is None and slot.tokens]
        for slot in idle:
            self._cut(slot, 0)
        return bool(idle)

    def _best(self, prompt: list[int], group: str) -> tuple[_Slot | None, int]:
        best, length = None, 0
        for slot in self._slots:
            if slot.group != group:
                continue
            held = slot.held
            shared = common_prefix(held, prompt)
            usable = shared > length and self._context.can_resume(slot.index, shared, len(held))
            if usable:
                best, length = slot, shared
        return best, length

    def _destination(self, source: _Slot | None, length: int) -> _Slot:
        """The slot to take over: the source unless most of what it holds would be lost."""
        if source and source.sequence is None and not self._keeps(source, length):
            return source
        idle = (slot for slot in self._slots if slot.sequence is None)
        return min(idle, key=lambda slot: (bool(slot.tokens), slot.last_use))

    def _keeps(self, source: _Slot, length: int) -> bool:
        """Is what follows the first `length` tokens worth a slot of its own?"""
        return self._context.cuts_anywhere and 2 * length < len(source.tokens)

    def _fill(self, slot: _Slot, source: _Slot | None, length: int, sequence: Sequence) -> int:
        """Put the start of a sequence's text into a slot; how many tokens of it are there then."""
        saved = self._snapshots
        kept = length if slot is source else 0
        if saved and 2 * kept < len(slot.tokens):
            saved.save(self._context, slot.index, slot.tokens, slot.group)
        if slot is not source:
            self._cut(slot, 0)
        if saved and saved.best(sequence.tokens, sequence.group) > length:
            restored = saved.restore(self._context, slot.index, sequence.tokens, sequence.group)
            if restored or slot is source:
                return restored
        if slot is source:
            return length if self._cut(slot, length) else 0
        return self._context.copy(source.index, slot.index, 0, length) if source else 0

    def _cut(self, slot: _Slot, length: int) -> bool:
        """Forget what comes after; False when the memory cannot, and all of it is forgotten."""
        kept = self._context.trim(slot.index, length)
        if not kept:
            self._context.remove(slot.index)
        slot.tokens = slot.tokens[:length] if kept else []
        return kept

    def _find_leader(self, sequence: Sequence, prompt: list[int]) -> None:
        length = sequence.position + MIN_WAIT - 1
        for slot in self._slots:
            other = slot.sequence
            if not other or other is sequence or other.writes or slot.group != sequence.group:
                continue
            shared = common_prefix(other.tokens, prompt)
            if shared > length and shared > other.position:
                length = shared
                self._leaders[sequence] = _Leader(other, shared)

    def _catch_up(self, sequence: Sequence) -> None:
        """Take over what the sequence's leader has read by now, and read on from there."""
        leader = self._leaders.pop(sequence)
        length = min(leader.length, leader.sequence.exact)
        if length > sequence.position:
            source, start = leader.sequence.slot, sequence.position
            sequence.skip(self._context.copy(source, sequence.slot, start, length))

    def _separate(self, sequence: Sequence) -> bool:
        """Give a sequence cells of its own; otherwise it must read its text again."""
        state = self._context.save_state(sequence.slot)
        if self._context.load_state(sequence.slot, state):
            return True
        sequence.position = 0
        return False


def common_prefix(a: Run[int], b: Run[int]) -> int:
    """How many leading tokens are the same."""
    most = min(len(a), len(b))
    # Slices compare at the speed of C.
    start = 0
    while start < most and a[start : start + _BLOCK] == b[start : start + _BLOCK]:
        start += _BLOCK
    stop = min(start + _BLOCK, most)
    for place in range(start, stop):
        if a[place] != b[place]:
            return place
    return most
