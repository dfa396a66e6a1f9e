"""Which models are loaded: one runner per model file, loaded on demand and unloaded when idle.

Queue, reload, keep-alive and eviction follow Ollama's scheduler.
"""

from __future__ import annotations

import asyncio
import math
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from modelkit.errors import EngineError, ModelkitError
from modelkit.serve.capacity.fitting import COMFORTABLE, fitted, needed, smaller
from modelkit.serve.capacity.machine import available_memory
from modelkit.serve.runner.process import Crashed, RunnerProcess
from modelkit.serve.scheduling.entry import Entry, LoadedEntry
from modelkit.serve.scheduling.failures import Failure, Failures
from modelkit.serve.scheduling.repacking import start_runner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

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
    are free, None when it does not know.
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
    ) -> None:
        self._max_loaded = max_loaded or _DEFAULT_MAX_LOADED
        self._max_queue = max_queue
        self._keep_alive = keep_alive
        self._load_timeout = load_timeout
        self._stall_timeout = stall_timeout
        self._available = available
        self._failures = Failures()
        self._entries: dict[str, Entry] = {}
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
        queue is full, TooLarge, Unstable after some crashes, and what RunnerProcess.start raises.
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
        return [e.shown() for e in self._entries.values() if e.runner.alive and not e.retiring]

    def failures(self) -> list[Failure]:
        """The models whose runners died, and why; the last one last."""
        return self._failures.all()

    async def close(self) -> None:
        """End every runner, whatever it is doing; further leases fail."""
        self._closed = True
        for entry in list(self._entries.values()):
            self._remove(entry)
        await self._settle()

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

    def _usable(self, key: str, files: ModelFiles, options: LoadOptions) -> Entry | None:
        if self._closed:
            raise EngineError("the server is shutting down")
        entry = self._entries.get(key)
        if entry is None or entry.retiring or not entry.runner.alive:
            return None
        return entry if entry.serves(files, options) else None

    async def _load(self, key: str, name: str, files: ModelFiles, options: LoadOptions) -> Entry:
        self._failures.check(key)
        if old := self._entries.get(key):
            await self._retire(old)
        while len(self._entries) >= self._max_loaded:
            await self._retire(self._victim())
        # The memory of what was unloaded must be back before more is asked for.
        await self._settle()
        options = await self._make_room(files, options)
        runner, options = await self._start(key, name, files, options)
        entry = Entry(key, name, files, options, runner, _seconds(self._keep_alive))
        runner.died = lambda reason: self._bury(entry, runner.answered, reason)
        self._entries[key] = entry
        if self._closed:
            await self.close()
            raise EngineError("the server is shutting down")
        return entry

    async def _make_room(self, files: ModelFiles, options: LoadOptions) -> LoadOptions:
        """Unload others until the model fits comfortably; what it must do with when it is alone."""
        while True:
            free, need = self._available(), await asyncio.to_thread(needed, files, options)
            if free is None or need is None or need.total <= COMFORTABLE * free:
                return options
            # Whoever fits not even alone shall not drive the others out.
            held = sum(entry.runner.info.size_bytes for entry in self._entries.values())
            least = await asyncio.to_thread(fitted, files, options, free + held)
            if not self._entries:
                return least
            await self._retire(self._victim())

    async def _start(
        self, key: str, name: str, files: ModelFiles, options: LoadOptions
    ) -> tuple[RunnerProcess, LoadOptions]:
        """Start a runner; when memory runs out, again without the others, then with less."""
        attempts = [options, *smaller(options)]
        while True:
            try:
                return await self._attempt(key, name, files, attempts[0]), attempts[0]
            except EngineError as error:
                if not (_is_out_of_memory(error) and (self._entries or attempts[1:])):
                    raise
            if not self._entries:
                del attempts[0]
            while self._entries:
                await self._retire(self._victim())

    async def _attempt(
        self, key: str, name: str, files: ModelFiles, options: LoadOptions
    ) -> RunnerProcess:
        timeouts = {"stall_timeout": self._load_timeout, "patience": self._stall_timeout}
        try:
            return await start_runner(files, options, **timeouts)
        except Crashed as crash:
            self._failures.died(key, name, crash.reason)
            raise

    def _bury(self, entry: Entry, answered: int, reason: str) -> None:
        """A runner died by itself; its users have been told."""
        if answered:
            self._failures.worked(entry.key)
        self._failures.died(entry.key, entry.name, reason)
        if not entry.users:
            self._remove(entry)

    def _victim(self) -> Entry:
        """Whom to unload: the dead, then the idle, then the busy; shortest keep-alive first."""
        return min(
            self._entries.values(),
            key=lambda entry: (entry.runner.alive, entry.users > 0, entry.keep_alive, entry.key),
        )

    def _enter(self, entry: Entry, keep_alive: float | None) -> None:
        entry.users += 1
        entry.idle.clear()
        if keep_alive is not None:
            entry.keep_alive = _seconds(keep_alive)
        entry.touch()

    def _leave(self, entry: Entry) -> None:
        entry.users -= 1
        if not entry.users:
            entry.idle.set()
            if not entry.retiring:
                self._rest(entry)

    def _rest(self, entry: Entry) -> None:
        """The entry became idle: unload it now, later or never."""
        entry.touch()
        if entry.keep_alive == 0 or not entry.runner.alive:
            self._remove(entry)
        elif entry.keep_alive < math.inf:
            loop = asyncio.get_running_loop()
            entry.timer = loop.call_later(entry.keep_alive, self._remove, entry)

    async def _retire(self, entry: Entry) -> None:
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

    def _remove(self, entry: Entry) -> None:
        """Forget the entry and end its runner in the background."""
        entry.touch()
        entry.retiring = True
        if self._entries.get(entry.key) is entry:
            del self._entries[entry.key]
            self._background(entry.runner.close())

    def _background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._retirements.add(task)
        task.add_done_callback(self._retirements.discard)

    async def _settle(self) -> None:
        """Wait until every runner that was told to end has ended."""
        if self._retirements:
            await asyncio.wait(self._retirements)


def _is_out_of_memory(error: EngineError) -> bool:
    """llama.cpp got no memory, or the kernel killed the process that asked for too much."""
    if isinstance(error, Crashed):
        return error.signal == signal.SIGKILL
    return any(words in error.message for words in ("allocate", "bad_alloc", "out of memory"))


def _seconds(keep_alive: float) -> float:
    return math.inf if keep_alive < 0 else keep_alive
