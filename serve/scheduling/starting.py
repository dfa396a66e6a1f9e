"""Starting a runner on a machine whose memory may be short: others go, or the model gets less."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from modelkit.errors import EngineError
from modelkit.serve.capacity.fitting import COMFORTABLE, fitted, needed, smaller
from modelkit.serve.runner.parent.process import Crashed
from modelkit.serve.scheduling.repacking import start_runner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from modelkit.serve.runner.parent.child import Child
    from modelkit.serve.runner.parent.process import RunnerProcess
    from modelkit.serve.scheduling.roster import Roster
    from modelkit.serve.types import LoadOptions, ModelFiles


class Starter:
    """Starts runners in processes that `hatch` returns; the settings are Scheduler's."""

    def __init__(
        self,
        roster: Roster,
        hatch: Callable[[], Awaitable[Child]],
        *,
        load_timeout: float | None,
        stall_timeout: float | None,
        available: Callable[[], int | None],
    ) -> None:
        self._roster = roster
        self._hatch = hatch
        self._load_timeout = load_timeout
        self._stall_timeout = stall_timeout
        self._available = available

    async def start(
        self, files: ModelFiles, options: LoadOptions
    ) -> tuple[RunnerProcess, LoadOptions]:
        """A runner, and the options it really has; models of the roster may be retired for it.

        Raises TooLarge and what RunnerProcess.start raises.
        """
        options = await self._make_room(files, options)
        attempts = [options, *smaller(options)]
        while True:
            try:
                return await self._attempt(files, attempts[0]), attempts[0]
            except EngineError as error:
                if not (_is_out_of_memory(error) and (self._roster or attempts[1:])):
                    raise
            if not self._roster:
                del attempts[0]
            while self._roster:
                await self._roster.retire_one()

    async def _make_room(self, files: ModelFiles, options: LoadOptions) -> LoadOptions:
        """Unload others until the model fits comfortably; what it must do with when it is alone."""
        while True:
            free, need = self._available(), await asyncio.to_thread(needed, files, options)
            if free is None or need is None or need.total <= COMFORTABLE * free:
                return options
            # Whoever fits not even alone shall not drive the others out.
            held = sum(entry.runner.info.size_bytes for entry in self._roster)
            least = await asyncio.to_thread(fitted, files, options, free + held)
            if not self._roster:
                return least
            await self._roster.retire_one()

    async def _attempt(self, files: ModelFiles, options: LoadOptions) -> RunnerProcess:
        return await start_runner(
            files,
            options,
            stall_timeout=self._load_timeout,
            patience=self._stall_timeout,
            hatch=self._hatch,
        )


def _is_out_of_memory(error: EngineError) -> bool:
    """llama.cpp got no memory, or the kernel killed the process that asked for too much."""
    if isinstance(error, Crashed):
        return error.signal == signal.SIGKILL
    return any(words in error.message for words in ("allocate", "bad_alloc", "out of memory"))
