"""A runner's process as the operating system has it: its start, its standard error, its end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from modelkit.serve.runner.frames import GRACE
from modelkit.serve.runner.parent.log import LogTail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ENVIRONMENT = {
    # A failed assertion in ggml would otherwise start a debugger on its own process.
    "GGML_NO_BACKTRACE": "1",
    # OpenMP threads spin while they wait. When the cores are shared that starves the thread they
    # wait for, and tokens take 10 to 50 times as long; a shorter spin costs nothing when not.
    "GOMP_SPINCOUNT": "3000",
    # numpy's linear algebra, which we have no use for, would start threads that spin, too.
    "OPENBLAS_NUM_THREADS": "1",
}


def child_environment() -> dict[str, str]:
    """What a process that is started now would get."""
    return {**_ENVIRONMENT, **os.environ}


class Child:
    """A worker process, which waits for a model to load at the other end of `socket`.

    `heard` is called whenever it writes to its standard error; `environment` is what it got.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        ours: socket.socket,
        environment: Mapping[str, str],
    ) -> None:
        self.heard: Callable[[], None] = lambda: None
        self.log = LogTail()
        self.socket = ours
        self.environment = environment
        self._process = process
        self._reading = asyncio.create_task(self._read_stderr())

    @classmethod
    async def start(cls) -> Child:
        """A new process, in today's environment."""
        ours, theirs = socket.socketpair()
        environment = child_environment()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "modelkit.serve.runner.worker"),
                *(str(theirs.fileno()), str(os.getpid())),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(process, ours, environment)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """As subprocess has it: None while it runs, -N when signal N ended it."""
        return self._process.returncode

    @property
    def listens(self) -> bool:
        """Does it still hold its end of the socket? To be asked before anything is received."""
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False

    @property
    def reason(self) -> str:
        """How it ended and the last telling line that it wrote."""
        return self.log.reason(self.returncode)

    async def end(self, *, ask: bool) -> None:
        """Wait for its end, after asking for it if it is to be asked; kill it if it takes long.

        All that it wrote has been read then.
        """
        try:
            if ask:
                self._signal(signal.SIGTERM)
            await asyncio.wait_for(self._process.wait(), GRACE)
        except TimeoutError:
            self.kill()
            await self._process.wait()
        await self._reading

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _read_stderr(self) -> None:
        stream = self._process.stderr
        while stream and (data := await stream.read(1 << 16)):
            self.heard()
            self.log.feed(data)
