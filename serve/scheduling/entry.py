"""One loaded model in the scheduler's list: its runner, who uses it, and until when it stays."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from modelkit.serve.runner.parent.process import RunnerProcess
    from modelkit.serve.types import LoadedModel, LoadOptions, ModelFiles


@dataclass(frozen=True)
class LoadedEntry:
    """A loaded model as /api/ps shows it; expires_at is a unix time, infinite for never."""

    name: str
    key: str
    info: LoadedModel
    options: LoadOptions
    expires_at: float


@dataclass
class Entry:
    """A runner and who uses it; keep_alive is seconds after the last use, maybe infinite."""

    key: str
    name: str
    files: ModelFiles
    options: LoadOptions
    runner: RunnerProcess
    keep_alive: float
    users: int = 0
    retiring: bool = False
    expires_at: float = math.inf
    timer: asyncio.TimerHandle | None = None
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def serves(self, files: ModelFiles, options: LoadOptions) -> bool:
        """Can this runner answer for these files and options? Automatic ones match anything."""
        return files == self.files and self._compared(options) == self._compared(self.options)

    def touch(self) -> None:
        """The model was used, or is asked to go: its time starts again."""
        self.expires_at = time.time() + self.keep_alive
        if self.timer:
            self.timer.cancel()
            self.timer = None

    def shown(self) -> LoadedEntry:
        """The model as /api/ps shows it."""
        return LoadedEntry(self.name, self.key, self.runner.info, self.options, self.expires_at)

    def _compared(self, options: LoadOptions) -> LoadOptions:
        """Options with what nobody asked for, and what makes no difference, as in the runner."""
        running = {name: getattr(self.options, name) for name in options.automatic}
        if options.num_gpu < 0:
            running["num_gpu"] = self.options.num_gpu
        if options.use_mmap is None:
            running["use_mmap"] = self.options.use_mmap
        options = msgspec.structs.replace(options, **running, automatic=frozenset())
        num_ctx = min(options.num_ctx, self.runner.info.n_ctx_train)
        return msgspec.structs.replace(options, num_ctx=num_ctx, extra_buffers=True)
