"""A runner's process that is started before there is a model for it: most of a small model's load.

It has imported what it needs and waits; it has neither a model nor threads that compute.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from modelkit.serve.runner.parent.child import Child, child_environment

if TYPE_CHECKING:
    from collections.abc import Callable

QUIET = 0.5
"""Seconds that nothing has been asked before one is started: it must not slow an answer down."""
ROOM = 1 << 30
"""Bytes of memory that must be free. A spare takes 40 MB, which the next model then does not."""


class Spare:
    """At most one such process. All methods belong to one event loop.

    `wanted` is asked when the time to start one has come: is it quiet, and is there room?
    """

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted
        self._start: asyncio.Task[Child] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def prepare(self, delay: float = QUIET) -> None:
        """Start one in `delay` seconds, if it is wanted then."""
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(delay, self._prepare)

    async def take(self) -> Child:
        """The process that waits, or else a new one."""
        self._cancel_timer()
        start, self._start = self._start, None
        if start is None:
            return await Child.start()
        with suppress(OSError):
            child = await start
            if child.listens and child.environment == child_environment():
                return child
            await _end(child)
        return await Child.start()

    async def close(self) -> None:
        """End the process that waits."""
        self._cancel_timer()
        start, self._start = self._start, None
        if start:
            with suppress(OSError):
                await _end(await start)

    def _prepare(self) -> None:
        if self._start is None and self._wanted():
            self._start = asyncio.create_task(Child.start())

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


async def _end(child: Child) -> None:
    await child.end(ask=True)
    child.socket.close()
