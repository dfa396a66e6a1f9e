"""Which model to have loaded, and how: what the scheduler is asked for."""

import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from modelkit.model import Model
from modelkit.serve.scheduler import Scheduler
from modelkit.serve.types import LoadOptions, ModelFiles, Runner


@dataclass(frozen=True)
class Loading:
    """A model, its load options, and the seconds it stays after its last use (None: as before)."""

    model: Model
    options: LoadOptions
    keep_alive: float | None = None

    @property
    def key(self) -> str:
        """Models with the same weights share a runner."""
        return str(self.model.gguf_path)

    @property
    def files(self) -> ModelFiles:
        """The paths the runner opens."""
        return ModelFiles(
            model=str(self.model.gguf_path),
            adapters=[str(path) for path in self.model.adapters],
            projectors=[str(path) for path in self.model.projectors],
            draft=next((str(path) for path in reversed(self.model.drafts)), None),
        )

    def lease(self, scheduler: Scheduler) -> AbstractAsyncContextManager[Runner]:
        """A runner with the model loaded, ours until the block ends."""
        return scheduler.lease(
            self.key, self.model.name.short, self.files, self.options, self.keep_alive
        )

    async def load(self, scheduler: Scheduler) -> int:
        """Only have the model loaded; returns the nanoseconds that took."""
        started = time.monotonic_ns()
        async with self.lease(scheduler):
            return time.monotonic_ns() - started
