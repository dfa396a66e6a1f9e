"""Which models are loaded: one runner per model file, loaded on demand and unloaded when idle.

Queue, reload, keep-alive and eviction follow Ollama's scheduler.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from modelkit.errors import EngineError, ModelkitError
from modelkit.serve.runner.process import RunnerProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from modelkit.serve.types import LoadedModel, LoadOptions, ModelFiles, Runner

_DEFAULT_MAX_LOADED = 3


class Busy(ModelkitError):
    """Too many requests wait for a model to be loaded."""

    def __init__(self) -> None:
        super().__init__("server busy, please try again.  maximum pending requests exceeded")


@dataclass(frozen=True)
class LoadedEntry:
    """A loaded model as /api/ps shows it; expires_at is a unix time, infinite for never."""

    name: str
    key: str
    info: LoadedModel
    options: LoadOptions
    expires_at: float


@dataclass
class _Entry:
    """A runner and who uses it."""

    key: str
    name: str
    files: ModelFiles
    options: LoadOptions
    runner: Runner
    keep_alive: float
    users: int = 0
    retiring: bool = False
    expires_at: float = math.inf
    timer: asyncio.TimerHandle | None = None
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def serves(self, files: ModelFiles, options: LoadOptions) -> bool:
        """Can this runner answer for these files and options? Automatic ones match anything."""
        trained = self.runner.info.n_ctx_train
        wanted = msgspec.structs.replace(
            options,
            num_ctx=min(options.num_ctx, trained),
            num_gpu=self.options.num_gpu if options.num_gpu < 0 else options.num_gpu,
            use_mmap=self.options.use_mmap if options.use_mmap is None else options.use_mmap,
        )
        running = msgspec.structs.replace(self.options, num_ctx=min(self.options.num_ctx, trained))
        return files == self.files and wanted == running

    def touch(self) -> None:
        self.expires_at = time.time() + self.keep_alive
        if self.timer:
            self.timer.cancel()
            self.timer = None


class Scheduler:
    """Lends runners. All methods belong to one event loop.

    max_loaded 0 means automatic; keep_alive is seconds, negative for ever; load_timeout is the
    longest silence of a loading runner in seconds, None for ever.
    """

    def __init__(
        self,
        *,
        max_loaded: int = 0,
        max_queue: int = 512,
        keep_alive: float = 300.0,
        load_timeout: float | None = 300.0,
    ) -> None:
        self._max_loaded = max_loaded or _DEFAULT_MAX_LOADED
        self._max_queue = max_queue
        self._keep_alive = keep_alive
        self._load_timeout = load_timeout
        self._entries: dict[str, _Entry] = {}
        self._turn = asyncio.Lock()
        self._queued = 0
        self._retirements: set[asyncio.Task[None]] = set()
        self._closed = False

    @asynccontextmanager
    async def lease(
        self,
        key: str,
        name: str,
        files: ModelFiles,
        options: LoadOptions,
        keep_alive: float | None = None,
    ) -> AsyncIterator[Runner]:
        """A runner for the model, which stays loaded at least until the block ends.

        key says which runners are interchangeable: the model file. keep_alive as in Scheduler;
        0 unloads the model after this use, None leaves what holds for it. Raises Busy when the
        queue is full, and what RunnerProcess.start raises.
        """
        entry = await self._obtain(key, name, files, options)
        self._enter(entry, keep_alive)
        try:
            yield entry.runner
        finally:
            self._leave(entry)

    async def unload(self, key: str) -> None:
        """Unload a model: now when it is idle, otherwise after the requests it is answering."""
        entry = self._entries.get(key)
        if entry is None:
            return
        entry.keep_alive = 0.0
        entry.touch()
        if not entry.users:
            await self._retire(entry)

    def loaded(self) -> list[LoadedEntry]:
        """The models that are loaded and well."""
        return [
            LoadedEntry(entry.name, entry.key, entry.runner.info, entry.options, entry.expires_at)
            for entry in self._entries.values()
            if entry.runner.alive and not entry.retiring
        ]

    async def close(self) -> None:
        """End every runner, whatever it is doing; further leases fail."""
        self._closed = True
        for entry in list(self._entries.values()):
            self._remove(entry)
        await self._settle()

    async def _obtain(self, key: str, name: str, files: ModelFiles, options: LoadOptions) -> _Entry:
        """A usable entry: the loaded one at once, or a new one after waiting for our turn."""
        if entry := self._usable(key, files, options):
            return entry
        if self._turn.locked() and self._queued >= self._max_queue:
            raise Busy
        self._queued += 1
        try:
            await self._turn.acquire()
        finally:
            self._queued -= 1
        try:
            # Another request may have loaded it while we waited.
            entry = self._usable(key, files, options)
            return entry or await self._load(key, name, files, options)
        finally:
            self._turn.release()

    def _usable(self, key: str, files: ModelFiles, options: LoadOptions) -> _Entry | None:
        if self._closed:
            raise EngineError("the server is shutting down")
        entry = self._entries.get(key)
        if entry is None or entry.retiring or not entry.runner.alive:
            return None
        return entry if entry.serves(files, options) else None

    async def _load(self, key: str, name: str, files: ModelFiles, options: LoadOptions) -> _Entry:
        if old := self._entries.get(key):
            await self._retire(old)
        while len(self._entries) >= self._max_loaded:
            await self._retire(self._victim())
        # The memory of what was unloaded must be back before more is asked for.
        await self._settle()
        runner = await RunnerProcess.start(files, options, stall_timeout=self._load_timeout)
        entry = _Entry(key, name, files, options, runner, _seconds(self._keep_alive))
        self._entries[key] = entry
        if self._closed:
            await self.close()
            raise EngineError("the server is shutting down")
        return entry

    def _victim(self) -> _Entry:
        """Whom to unload: the dead, then the idle, then the busy; shortest keep-alive first."""
        return min(
            self._entries.values(),
            key=lambda entry: (entry.runner.alive, entry.users > 0, entry.keep_alive, entry.key),
        )

    def _enter(self, entry: _Entry, keep_alive: float | None) -> None:
        entry.users += 1
        entry.idle.clear()
        if keep_alive is not None:
            entry.keep_alive = _seconds(keep_alive)
        entry.touch()

    def _leave(self, entry: _Entry) -> None:
        entry.users -= 1
        if not entry.users:
            entry.idle.set()
            if not entry.retiring:
                self._rest(entry)

    def _rest(self, entry: _Entry) -> None:
        """The entry became idle: unload it now, later or never."""
        entry.touch()
        if entry.keep_alive == 0 or not entry.runner.alive:
            self._remove(entry)
        elif entry.keep_alive < math.inf:
            loop = asyncio.get_running_loop()
            entry.timer = loop.call_later(entry.keep_alive, self._remove, entry)

    async def _retire(self, entry: _Entry) -> None:
        """Let nobody else in, wait for those inside, end the runner."""
        entry.retiring = True
        try:
            if entry.users and entry.runner.alive:
                await entry.idle.wait()
        except asyncio.CancelledError:
            # Whoever needed the room has gone, so the model may stay.
            entry.retiring = False
            if not entry.users:
                self._rest(entry)
            raise
        self._remove(entry)
        await self._settle()

    def _remove(self, entry: _Entry) -> None:
        """Forget the entry and end its runner in the background."""
        entry.touch()
        entry.retiring = True
        if self._entries.get(entry.key) is entry:
            del self._entries[entry.key]
            self._start(entry.runner.close())

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._retirements.add(task)
        task.add_done_callback(self._retirements.discard)

    async def _settle(self) -> None:
        """Wait until every runner that was told to end has ended."""
        if self._retirements:
            await asyncio.wait(self._retirements)


def _seconds(keep_alive: float) -> float:
    return math.inf if keep_alive < 0 else keep_alive
