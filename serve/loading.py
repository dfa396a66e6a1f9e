"""Which model to have loaded, and how: what the scheduler is asked for."""

import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from modelkit.model import Model
from modelkit.serve.capacity.machine import available_memory
from modelkit.serve.scheduling.scheduler import Scheduler
from modelkit.serve.types import Adapter, LoadOptions, ModelFiles, Runner
from modelkit.settings import flag, setting, uint
from modelkit.sizes import size_setting

_AUTOMATIC = (("num_ctx", "CONTEXT_LENGTH"), ("num_parallel", "NUM_PARALLEL"))
"""Options that a setting decides, else we."""
_MOST_PREFIX_MEMORY = 2 << 30
"""Without a setting, copies of prefixes take a tenth of the free memory and at most this."""
_PREFIX_DISK = 4 << 30


def default_load_options(**given: Any) -> LoadOptions:
    """How models are loaded: as `given`, else as the environment says."""
    options = LoadOptions(
        num_ctx=uint("CONTEXT_LENGTH", 0) or 4096,
        num_parallel=uint("NUM_PARALLEL", 0) or 8,
        kv_cache_type=setting("KV_CACHE_TYPE") or "f16",
        flash_attention=_flash_attention(),
        prefix_cache_memory=size_setting("PREFIX_CACHE_MEMORY", _prefix_memory()),
        prefix_cache_dir=_prefix_folder(),
        prefix_cache_disk=size_setting("PREFIX_CACHE_DISK", _PREFIX_DISK),
        automatic=_automatic(),
    )
    return msgspec.structs.replace(options, **given, automatic=options.automatic - given.keys())


def _automatic() -> frozenset[str]:
    names = {name for name, variable in _AUTOMATIC if not uint(variable, 0)}
    if not setting("PREFIX_CACHE_MEMORY"):
        names.add("prefix_cache_memory")
    return frozenset({*names, "num_batch"})


def _prefix_memory() -> int:
    return min((available_memory() or 0) // 10, _MOST_PREFIX_MEMORY)


def _prefix_folder() -> str:
    folder = setting("PREFIX_CACHE_DIR")
    return str(Path(folder).expanduser().absolute()) if folder else ""


def _flash_attention() -> str:
    if setting("FLASH_ATTENTION") is None:
        return "auto"
    return "on" if flag("FLASH_ATTENTION") else "off"


@dataclass(frozen=True)
class Loading:
    """A model, its load options, and the seconds it stays after its last use (None: as before).

    Models that differ in their adapters share a runner, and each request names its own; for what
    cannot name them, such as embeddings, `own_adapters` has a runner load the model's for good.
    """

    model: Model
    options: LoadOptions
    keep_alive: float | None = None
    own_adapters: bool = False

    @property
    def key(self) -> str:
        """Models with the same weights share a runner."""
        return str(self.model.gguf_path)

    @property
    def files(self) -> ModelFiles:
        """The paths the runner opens."""
        return ModelFiles(
            model=str(self.model.gguf_path),
            adapters=[str(path) for path in self.model.adapters] if self.own_adapters else [],
            projectors=[str(path) for path in self.model.projectors],
            draft=next((str(path) for path in reversed(self.model.drafts)), None),
        )

    @property
    def adapters(self) -> list[Adapter]:
        """What a request to generate must name."""
        return [Adapter(str(path)) for path in self.model.adapters]

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
