"""The server's side of a runner: starts the child process, talks to it, notices its death."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from array import array
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from modelkit.errors import EngineError, ModelkitError, UsageError
from modelkit.serve.runner.frames import (
    Answer,
    Body,
    Cancel,
    Command,
    Detokenize,
    Embed,
    Failure,
    FrameBuffer,
    Generate,
    GetStats,
    Load,
    LoadProgress,
    Text,
    Tokenize,
    Tokens,
    Vectors,
    decode_answer,
    encode,
)
from modelkit.serve.runner.log import LogTail, logger
from modelkit.serve.types import (
    Embedding,
    Finished,
    Generation,
    InputTooLong,
    LoadedModel,
    LoadOptions,
    ModelFiles,
    Piece,
    PromptTooLong,
    Stats,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

_DIED = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal "
    "error, check ollama server logs for details"
)
_ENVIRONMENT = {
    # A failed assertion in ggml would otherwise start a debugger on its own process.
    "GGML_NO_BACKTRACE": "1",
    # OpenMP threads spin while they wait. When the cores are shared that starves the thread they
    # wait for, and tokens take 10 to 50 times as long; a shorter spin costs nothing when not.
    "GOMP_SPINCOUNT": "3000",
}
_GRACE = 3.0  # seconds that a process which should end is given before it is killed

T = TypeVar("T")


def _ignore(*_: object) -> None:
    """The callback of those who do not care."""


class _Link(asyncio.Protocol):
    """Feeds what arrives on the socket to `receive`, and its end to `lost`."""

    def __init__(self, receive: Callable[[Answer], None], lost: Callable[[], None]) -> None:
        self._frames = FrameBuffer()
        self._receive = receive
        self._lost = lost

    def data_received(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            self._receive(decode_answer(frame))

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()


class RunnerProcess:
    """One model in one child process. Implements modelkit.serve.types.Runner."""

    info: LoadedModel
    _transport: asyncio.Transport

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._log = LogTail()
        self._ids = count()
        # A request is here until its last answer has come.
        self._open: dict[int, asyncio.Queue[Body | EngineError]] = {}
        self._closing = False
        self._death = _DIED
        self._burial: asyncio.Task[None] | None = None
        self._heard: Callable[[], None] = _ignore
        self._stderr = asyncio.create_task(self._read_stderr())

    @classmethod
    async def start(
        cls,
        files: ModelFiles,
        options: LoadOptions,
        *,
        stall_timeout: float | None = 300.0,
        progress: Callable[[float], None] = _ignore,
    ) -> RunnerProcess:
        """Start a process and load a model in it.

        Raises UsageError for bad options, EngineError with llama.cpp's reason in one line, or when
        the child gives no sign of life for `stall_timeout` seconds (None: wait for ever).
        """
        runner = await cls._spawn()
        try:
            runner.info = await runner._load(Load(files, options), stall_timeout, progress)
        except BaseException:
            await runner.close()
            raise
        return runner

    @classmethod
    async def _spawn(cls) -> RunnerProcess:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "modelkit.serve.runner.worker"),
                *(str(theirs.fileno()), str(os.getpid())),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={**_ENVIRONMENT, **os.environ},
            )
        runner = cls(process)
        loop = asyncio.get_running_loop()
        runner._transport, _ = await loop.create_connection(
            lambda: _Link(runner._deliver, runner._lost), sock=ours
        )
        return runner

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._closing and self._burial is None and self._process.returncode is None

    async def generate(self, request: Generation) -> AsyncGenerator[Piece | Finished, None]:
        """See Runner.generate."""
        with self._exchange() as (id_, mailbox):
            self._send(Generate(id_, request))
            while True:
                event = await mailbox.get()
                if isinstance(event, Finished):
                    yield event
                    return
                yield _expect(event, Piece)

    async def embed(self, inputs: list[str], *, truncate: bool = True) -> Embedding:
        """See Runner.embed."""
        with self._exchange() as (id_, mailbox):
            self._send(Embed(id_, inputs, truncate))
            vectors = _expect(await mailbox.get(), Vectors)
        rows = [array("f", row).tolist() for row in vectors.rows]
        return Embedding(rows, vectors.prompt_tokens)

    async def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = True
    ) -> list[int]:
        """Token ids of a text."""
        with self._exchange() as (id_, mailbox):
            self._send(Tokenize(id_, text, add_special, parse_special))
            return _expect(await mailbox.get(), Tokens).tokens

    async def detokenize(self, tokens: list[int]) -> str:
        """The text of tokens; raises UsageError for one the vocabulary does not have."""
        with self._exchange() as (id_, mailbox):
            self._send(Detokenize(id_, tokens))
            return _expect(await mailbox.get(), Text).text

    async def stats(self) -> Stats:
        """What the decode loop is doing now; answered between two steps."""
        with self._exchange() as (id_, mailbox):
            self._send(GetStats(id_))
            return _expect(await mailbox.get(), Stats)

    async def close(self) -> None:
        """Terminate the process, kill it if it does not end; open requests fail."""
        self._closing = True
        self._death = "the model was unloaded while it was answering"
        await self._end_process()
        self._transport.close()
        await self._stderr
        if self._burial:
            await self._burial
        self._fail_open()

    @contextmanager
    def _exchange(self) -> Iterator[tuple[int, asyncio.Queue[Body | EngineError]]]:
        """A new request's id and mailbox. Leaving before the last answer cancels the request."""
        if not self.alive:
            raise EngineError(self._death)
        id_ = next(self._ids)
        mailbox = self._open[id_] = asyncio.Queue()
        try:
            yield id_, mailbox
        finally:
            if self._open.pop(id_, None) and self.alive:
                self._send(Cancel(id_))

    async def _load(
        self, command: Load, stall_timeout: float | None, progress: Callable[[float], None]
    ) -> LoadedModel:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(stall_timeout) as patience:
                if stall_timeout is not None:
                    self._heard = lambda: patience.reschedule(loop.time() + stall_timeout)
                with self._exchange() as (_, mailbox):
                    self._send(command)
                    while isinstance(body := await mailbox.get(), LoadProgress):
                        progress(body.fraction)
        except TimeoutError:
            raise EngineError(
                "timed out waiting for the model runner to start: "
                f"no progress for {stall_timeout:g} s"
            ) from None
        finally:
            self._heard = _ignore
        return _expect(body, LoadedModel)

    def _send(self, command: Command) -> None:
        self._transport.write(encode(command))

    def _deliver(self, answer: Answer) -> None:
        self._heard()
        more = isinstance(answer.body, Piece | LoadProgress)
        # A request that was cancelled has no mailbox any more.
        mailbox = self._open.get(answer.id) if more else self._open.pop(answer.id, None)
        if mailbox:
            mailbox.put_nowait(answer.body)

    def _lost(self) -> None:
        if not self._closing and self._burial is None:
            self._burial = asyncio.create_task(self._bury())

    async def _bury(self) -> None:
        """Find out why the process died, then end every open request with the reason."""
        await self._end_process()
        await self._stderr
        if not self._closing:
            reason = self._log.reason(self._process.returncode)
            self._death = f"{_DIED}: {reason}"
            if self._open:
                logger.error("runner %d died: %s\n%s", self.pid, reason, self._log.text())
        self._fail_open()

    async def _end_process(self) -> None:
        """Wait for the end of a process whose socket is closed or that is asked to end."""
        try:
            if self._closing and self._process.returncode is None:
                self._process.terminate()
            await asyncio.wait_for(self._process.wait(), _GRACE)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _read_stderr(self) -> None:
        stream = self._process.stderr
        while stream and (data := await stream.read(1 << 16)):
            self._heard()
            self._log.feed(data)

    def _fail_open(self) -> None:
        for mailbox in self._open.values():
            mailbox.put_nowait(EngineError(self._death))
        self._open.clear()


def _expect(body: Body | EngineError, kind: type[T]) -> T:
    """The body of that type, or the error it stands for."""
    if isinstance(body, EngineError):
        raise body
    if isinstance(body, Failure):
        raise _error(body)
    if not isinstance(body, kind):
        raise EngineError(f"the runner answered {type(body).__name__} out of turn")
    return body


def _error(failure: Failure) -> ModelkitError:
    match failure.kind:
        case "prompt-too-long":
            return PromptTooLong()
        case "input-too-long":
            return InputTooLong()
        case "usage":
            return UsageError(failure.message)
        case "engine":
            return EngineError(failure.message)
