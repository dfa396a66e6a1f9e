"""Which models are loaded: one runner per model file, loaded on demand and unloaded when idle.

Queue, reload, keep-alive and eviction follow Ollama's scheduler.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from modelkit.errors import EngineError, ModelkitError
from modelkit.serve.capacity.machine import available_memory
from modelkit.serve.metrics import RUNNER_STARTS
from modelkit.serve.runner.parent.process import Crashed
from modelkit.serve.scheduling.entry import Entry, LoadedEntry
from modelkit.serve.scheduling.failures import Failure, Failures
from modelkit.serve.scheduling.roster import Roster, seconds
from modelkit.serve.scheduling.spare import QUIET, ROOM, Spare
from modelkit.serve.scheduling.starting import Starter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from modelkit.serve.types import LoadOptions, ModelFiles, Runner

__all__ = ["Busy", "LoadedEntry", "Scheduler"]

_DEFAULT_MAX_LOADED = 3


class Busy(ModelkitError):
    """Too many requests wait for a model to be loaded."""

    def __init__(self) -> None:
        super().__init__("server busy, please try again.  maximum pending requests exceeded")


class Scheduler:
    """Lends runners. All methods belong to one event loop.

    max_loaded 0 means automatic; keep_alive is seconds, negative for ever; load_timeout is the
    longest silence of a loading runner in seconds, None for ever; a runner that makes no progress
    for stall_timeout seconds is killed, None for never. `available` tells the bytes of memory that
    are free, None when it does not know. With `spare`, a process for the next model is kept ready.
    """

    def __init__(
        self,
        *,
        max_loaded: int = 0,
        max_queue: int = 512,
        keep_alive: float = 300.0,
        load_timeout: float | None = 300.0,
        stall_timeout: float | None = 300.0,
        available: Callable[[], int | None] = available_memory,
        spare: bool = False,
    ) -> None:
        self._max_loaded = max_loaded or _DEFAULT_MAX_LOADED
        self._max_queue = max_queue
        self._keep_alive = keep_alive
        self._failures = Failures()
        self._roster = Roster()
        self._available = available
        self._keeps_spare = spare
        self._spare = Spare(self._wants_spare)
        self._starter = Starter(
            self._roster,
            self._spare.take,
            load_timeout=load_timeout,
            stall_timeout=stall_timeout,
            available=available,
        )
        self._turn = asyncio.Lock()
        self._queued = 0
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
        queue is full, TooLarge, Unstable after some crashes, and what RunnerProcess.start raises.
        """
        entry = await self._obtain(key, name, files, options)
        self._roster.enter(entry, keep_alive)
        try:
            yield entry.runner
        finally:
            if entry.runner.alive and entry.runner.answered:
                self._failures.worked(key)
            self._roster.leave(entry)
            self.prepare()

    def prepare(self, delay: float = QUIET) -> None:
        """Start a process for the next model in `delay` seconds, unless there is work then."""
        if self._keeps_spare:
            self._spare.prepare(delay)

    async def unload(self, key: str) -> None:
        """Unload a model: now when it is idle, otherwise after the requests it is answering."""
        entry = self._roster.get(key)
        if entry is None:
            return
        entry.keep_alive = 0.0
        entry.touch()
        if not entry.users:
            await self._roster.retire(entry)

    def loaded(self) -> list[LoadedEntry]:
        """The models that are loaded and well."""
        return [e.shown() for e in self._roster if e.runner.alive and not e.retiring]

    def runners(self) -> dict[str, Runner]:
        """The runners of those models, by name."""
        return {e.name: e.runner for e in self._roster if e.runner.alive and not e.retiring}

    @property
    def queued(self) -> int:
        """How many requests wait for a model to be loaded."""
        return self._queued

    def failures(self) -> list[Failure]:
        """The models whose runners died, and why; the last one last."""
        return self._failures.all()

    async def close(self) -> None:
        """End every runner, whatever it is doing; further leases fail."""
        self._closed = True
        for entry in self._roster:
            self._roster.remove(entry)
        await self._spare.close()
        await self._roster.settle()

    def _wants_spare(self) -> bool:
        if self._closed or self._roster.busy or self._turn.locked():
            return False
        free = self._available()
        return free is None or free >= ROOM

    async def _obtain(self, key: str, name: str, files: ModelFiles, options: LoadOptions) -> Entry:
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
            self.prepare()

    def _usable(self, key: str, files: ModelFiles, options: LoadOptions) -> Entry | None:
        if self._closed:
            raise EngineError("the server is shutting down")
        entry = self._roster.get(key)
        if entry is None or entry.retiring or not entry.runner.alive:
            return None
        return entry if entry.serves(files, options) else None

    async def _load(self, key: str, name: str, files: ModelFiles, options: LoadOptions) -> Entry:
        self._failures.check(key)
        if old := self._roster.get(key):
            await self._roster.retire(old)
        while len(self._roster) >= self._max_loaded:
            await self._roster.retire_one()
        # The memory of what was unloaded must be back before more is asked for.
        await self._roster.settle()
        try:
            runner, options = await self._starter.start(files, options)
        except Crashed as crash:
            self._failures.died(key, name, crash.reason)
            raise
        entry = Entry(key, name, files, options, runner, seconds(self._keep_alive))
        runner.died = partial(self._bury, entry)
        self._roster.add(entry)
        RUNNER_STARTS.labels(name).inc()
        if self._closed:
            await self.close()
            raise EngineError("the server is shutting down")
        return entry

    def _bury(self, entry: Entry, reason: str) -> None:
        """A runner died by itself; its users have been told."""
        if entry.runner.answered:
            self._failures.worked(entry.key)
        self._failures.died(entry.key, entry.name, reason)
        if not entry.users:
            self._roster.remove(entry)
