"""Copies of prefixes that left the cache, in host memory and, if wished, on disk."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelkit.errors import EngineError
from modelkit.serve.runner.cache.snapshot_files import SnapshotFiles
from modelkit.serve.runner.llama import engine_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from modelkit.serve.runner.cache.snapshot_files import StoredPrefix
    from modelkit.serve.runner.llama.context import Context
    from modelkit.serve.runner.llama.model import Model
    from modelkit.serve.types import LoadOptions

# Reading fewer tokens again is cheaper than keeping them.
MIN_TOKENS = 256


class Snapshot:
    """The tokens (int32) that were in one sequence's cache, and the cache's content (uint8).

    A state of None is only in `file`. The group is the digest of a set of adapters.
    """

    def __init__(
        self,
        group: bytes,
        tokens: npt.NDArray[np.int32],
        state: npt.NDArray[np.uint8] | None,
        file: StoredPrefix | None = None,
    ) -> None:
        self.group = group
        self.tokens = tokens
        self.state = state
        self.file = file

    def shared(self, tokens: npt.NDArray[np.int32]) -> int:
        """How many leading tokens are the same."""
        size = min(len(tokens), len(self.tokens))
        differ = np.flatnonzero(tokens[:size] != self.tokens[:size])
        return int(differ[0]) if len(differ) else size


class Snapshots:
    """Saved prefixes within a budget of bytes; those used least recently go first.

    A copy is found again for the same group (a set of adapters) only.
    partial: the model can forget the end of a sequence, so that the start of a copy is of use.
    """

    def __init__(
        self, memory: int, *, partial: bool = True, files: SnapshotFiles | None = None
    ) -> None:
        self._memory = memory
        self._partial = partial
        self._files = files
        # The most recently used one last.
        self._kept: list[Snapshot] = []
        if files:
            self._kept = [Snapshot(file.group, file.tokens, None, file) for file in files.stored()]

    @classmethod
    def of(cls, model: Model, options: LoadOptions) -> Snapshots:
        """Those of a model, as its options say; raises StoreError for a folder that fails."""
        files = None
        if options.prefix_cache_dir:
            folder, limit = Path(options.prefix_cache_dir), options.prefix_cache_disk
            files = SnapshotFiles(folder, _identity(model, options), limit)
        # Of a sliding window or a recurrent state only the end is there.
        partial = model.rewinds and not model.sliding_window
        return cls(options.prefix_cache_memory, partial=partial, files=files)

    @property
    def durable(self) -> bool:
        """Do copies outlive the process?"""
        return self._files is not None

    @property
    def enabled(self) -> bool:
        """Is there any place to keep copies?"""
        return self._memory > 0 or self.durable

    @property
    def size(self) -> int:
        """Bytes of host memory in use."""
        return sum(kept.state.nbytes for kept in self._kept if kept.state is not None)

    def save(self, context: Context, slot: int, tokens: Sequence[int], group: str = "") -> None:
        """Keep what a slot holds, unless it is short or a copy begins with it."""
        text = np.asarray(tokens, np.int32)
        if not self.enabled or len(text) < MIN_TOKENS:
            return
        digest = _digest(group)
        known = self._find(text, digest)
        if known and known[1] == len(text):
            self._touch(known[0])
            return
        try:
            state = context.save_state(slot)
        except EngineError as error:
            sys.stderr.write(f"W {error.message}\n")
            return
        snapshot = Snapshot(digest, text, state)
        older = [kept for kept in self._kept if self._is_superseded(kept, snapshot)]
        self._kept = [kept for kept in self._kept if kept not in older] + [snapshot]
        if self._files:
            replaced = [kept.file for kept in older if kept.file]
            snapshot.file = self._files.write(digest, text, state, replaced)
        self._shrink()

    def best(self, tokens: Sequence[int], group: str = "") -> int:
        """How many leading tokens restore() could bring back, 0 for none.

        At least one token is left to read: its logits are needed.
        """
        found = self._find(np.asarray(tokens[:-1], np.int32), _digest(group))
        return found[1] if found else 0

    def restore(self, context: Context, slot: int, tokens: Sequence[int], group: str = "") -> int:
        """Replace a slot's content by the best copy; how many tokens of it are in the slot then.

        0 when there is none, it does not fit into the cache or its file is damaged: the slot is
        empty then.
        """
        found = self._find(np.asarray(tokens[:-1], np.int32), _digest(group))
        context.remove(slot)
        if not found:
            return 0
        snapshot, length = found
        state = self._load(snapshot)
        if state is None or not context.load_state(slot, state):
            return 0
        if length < len(snapshot.tokens) and not context.trim(slot, length):
            context.remove(slot)
            return 0
        self._touch(snapshot)
        self._shrink()
        return length

    def close(self) -> None:
        """Wait until everything is on disk."""
        if self._files:
            self._files.close()

    def _find(self, text: npt.NDArray[np.int32], group: bytes) -> tuple[Snapshot, int] | None:
        """The copy with the longest usable start, the latest of equals."""
        best, length = None, 0
        for kept in reversed(self._kept):
            shared = kept.shared(text) if kept.group == group else 0
            if shared > length and (self._partial or shared == len(kept.tokens)):
                best, length = kept, shared
        return (best, length) if best else None

    def _is_superseded(self, older: Snapshot, newer: Snapshot) -> bool:
        """Is everything in the older copy also in the newer one?"""
        return (
            self._partial
            and older.group == newer.group
            and older.shared(newer.tokens) == len(older.tokens)
        )

    def _load(self, snapshot: Snapshot) -> npt.NDArray[np.uint8] | None:
        """The state, from disk if need be; a copy whose file is gone or damaged is dropped."""
        if snapshot.state is None and self._files and snapshot.file:
            snapshot.state = self._files.read(snapshot.file)
            if snapshot.state is None:
                self._kept.remove(snapshot)
        return snapshot.state

    def _touch(self, snapshot: Snapshot) -> None:
        self._kept.remove(snapshot)
        self._kept.append(snapshot)
        if self._files and snapshot.file:
            self._files.touch(snapshot.file)

    def _shrink(self) -> None:
        """Back into the budget: what is on disk only leaves memory, the rest is gone."""
        for snapshot in [kept for kept in self._kept if kept.state is not None]:
            if self.size <= self._memory:
                return
            snapshot.state = None
            if not snapshot.file:
                self._kept.remove(snapshot)


def _identity(model: Model, options: LoadOptions) -> str:
    """What a state depends on: the weights' file, the cache's format, the engine."""
    path = Path(model.path)
    file = path.stat()
    weights = f"{path.name} {file.st_size} {file.st_mtime_ns}"
    return f"{weights} {options.kv_cache_type} {options.flash_attention} {engine_version()}"


def _digest(group: str) -> bytes:
    return hashlib.sha256(group.encode()).digest()
