"""The server's side of a runner: starts the child process, talks to it, notices its death."""

from __future__ import annotations

import asyncio
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING

from modelkit.errors import EngineError
from modelkit.serve.runner.frames import (
    Detokenize,
    Embed,
    Generate,
    GetStats,
    Load,
    LoadProgress,
    Rerank,
    Text,
    Tokenize,
    Tokens,
    Vectors,
)
from modelkit.serve.runner.parent.channel import Channel, Mailbox, expect
from modelkit.serve.runner.parent.child import Child
from modelkit.serve.runner.parent.log import logger
from modelkit.serve.runner.parent.watchdog import stalled
from modelkit.serve.types import (
    Embedding,
    Finished,
    Generation,
    LoadedModel,
    LoadOptions,
    ModelFiles,
    Piece,
    Stats,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractContextManager

_DIED = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal "
    "error, check ollama server logs for details"
)


class Crashed(EngineError):
    """The process died while it loaded a model; `signal` is what ended it, 0 for an exit."""

    def __init__(self, reason: str, signal: int) -> None:
        super().__init__(f"{_DIED}: {reason}")
        self.reason = reason
        self.signal = signal


def _ignore(*_: object) -> None:
    """The callback of those who do not care."""


def _embedding(vectors: Vectors) -> Embedding:
    rows = [array("f", row).tolist() for row in vectors.rows]
    return Embedding(rows, vectors.prompt_tokens)


class RunnerProcess:
    """One model in one child process. Implements modelkit.serve.types.Runner.

    `died` is called with the reason when the process ends by itself or by the watchdog;
    `answered` counts the requests that were answered to their end.
    """

    info: LoadedModel

    def __init__(self, child: Child) -> None:
        self._child = child
        self._closing = False
        self._death = _DIED
        self._reason = ""
        self.died: Callable[[str], None] = _ignore
        self.answered = 0
        self._stall = ""
        self._ready = False
        self._watch: asyncio.Task[None] | None = None
        self._burial: asyncio.Task[None] | None = None
        self._channel = Channel(heard=lambda: child.heard(), lost=self._lost)

    @classmethod
    async def start(
        cls,
        files: ModelFiles,
        options: LoadOptions,
        *,
        stall_timeout: float | None = 300.0,
        patience: float | None = 300.0,
        progress: Callable[[float], None] = _ignore,
        hatch: Callable[[], Awaitable[Child]] = Child.start,
    ) -> RunnerProcess:
        """Load a model in a process, which `hatch` returns.

        The process is killed when it has work and makes no progress for `patience` seconds (None:
        never). Raises UsageError for bad options, EngineError with llama.cpp's reason in one line,
        Crashed when the child dies, EngineError when it gives no sign of life for `stall_timeout`
        seconds (None: wait for ever).
        """
        runner = cls(await hatch())
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: runner._channel, sock=runner._child.socket)
            runner.info = await runner._load(Load(files, options), stall_timeout, progress)
        except BaseException as error:
            crash = runner._crash(error)
            await runner.close()
            if crash:
                raise crash from None
            raise
        runner._ready = True
        if patience is not None:
            runner._watch = asyncio.create_task(runner._watch_over(patience))
        return runner

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return not self._closing and self._burial is None and self._child.returncode is None

    async def generate(self, request: Generation) -> AsyncGenerator[Piece | Finished, None]:
        """See Runner.generate."""
        with self._exchange() as (id_, mailbox):
            self._channel.send(Generate(id_, request))
            while True:
                event = await mailbox.get()
                if isinstance(event, Piece):
                    yield event
                    continue
                finished = expect(event, Finished)
                self.answered += 1
                yield finished
                return

    async def embed(self, inputs: list[str], *, truncate: bool = True) -> Embedding:
        """See Runner.embed."""
        with self._exchange() as (id_, mailbox):
            self._channel.send(Embed(id_, inputs, truncate))
            vectors = expect(await mailbox.get(), Vectors)
            self.answered += 1
        return _embedding(vectors)

    async def rerank(self, query: str, documents: list[str], *, truncate: bool = True) -> Embedding:
        """See Runner.rerank."""
        with self._exchange() as (id_, mailbox):
            self._channel.send(Rerank(id_, query, documents, truncate))
            vectors = expect(await mailbox.get(), Vectors)
            self.answered += 1
        return _embedding(vectors)

    async def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = True
    ) -> list[int]:
        """Token ids of a text."""
        with self._exchange() as (id_, mailbox):
            self._channel.send(Tokenize(id_, text, add_special, parse_special))
            return expect(await mailbox.get(), Tokens).tokens

    async def detokenize(self, tokens: list[int]) -> str:
        """The text of tokens; raises UsageError for one the vocabulary does not have."""
        with self._exchange() as (id_, mailbox):
            self._channel.send(Detokenize(id_, tokens))
            return expect(await mailbox.get(), Text).text

    async def stats(self) -> Stats:
        """What the decode loop is doing now; answered between two steps."""
        with self._exchange() as (id_, mailbox):
            self._channel.send(GetStats(id_))
            return expect(await mailbox.get(), Stats)

    async def close(self) -> None:
        """Terminate the process, kill it if it does not end; open requests fail."""
        self._closing = True
        self._death = "the model was unloaded while it was answering"
        if self._watch:
            self._watch.cancel()
        await self._child.end(ask=True)
        self._channel.close()
        if self._burial:
            await self._burial
        self._channel.fail(self._death)

    def _exchange(self) -> AbstractContextManager[tuple[int, Mailbox]]:
        if not self.alive:
            raise EngineError(self._death)
        return self._channel.exchange()

    async def _load(
        self, command: Load, stall_timeout: float | None, progress: Callable[[float], None]
    ) -> LoadedModel:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(stall_timeout) as patience:

                def heard() -> None:
                    if stall_timeout is not None and not patience.expired():
                        patience.reschedule(loop.time() + stall_timeout)

                self._child.heard = heard
                with self._exchange() as (_, mailbox):
                    self._channel.send(command)
                    while isinstance(body := await mailbox.get(), LoadProgress):
                        progress(body.fraction)
        except TimeoutError:
            raise EngineError(
                "timed out waiting for the model runner to start: "
                f"no progress for {stall_timeout:g} s"
            ) from None
        finally:
            self._child.heard = _ignore
        return expect(body, LoadedModel)

    def _crash(self, error: BaseException) -> Crashed | None:
        """The death of the process, if that is what a failed load means."""
        if not isinstance(error, EngineError) or error.message != self._death:
            return None
        return Crashed(self._reason, max(-(self._child.returncode or 0), 0))

    async def _watch_over(self, patience: float) -> None:
        """Kill the process when it stalls; its requests learn why when it is buried."""
        with suppress(EngineError):  # it died, which is another's business
            self._stall = await stalled(self._channel, self.stats, patience)
            self._child.kill()

    def _lost(self) -> None:
        if not self._closing and self._burial is None:
            self._burial = asyncio.create_task(self._bury())

    async def _bury(self) -> None:
        """Find out why the process died, then end every open request with the reason."""
        await self._child.end(ask=self._closing)
        if not self._closing:
            reason = self._stall or self._child.reason
            self._death, self._reason = f"{_DIED}: {reason}", reason
            if self._ready or self._channel.busy:
                logger.error("runner %d died: %s\n%s", self.pid, reason, self._child.log.text())
            self.died(reason)
        self._channel.fail(self._death)
