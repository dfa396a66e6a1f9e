"""Requests and answers over a socket to a runner: each request has a mailbox for its answers."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from modelkit.errors import EngineError, ModelkitError, UsageError
from modelkit.serve.runner.frames import (
    Body,
    Cancel,
    Command,
    Failure,
    FrameBuffer,
    LoadProgress,
    decode_answers,
    encode,
)
from modelkit.serve.types import InputTooLong, Piece, PromptTooLong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Mail: TypeAlias = Body | EngineError
T = TypeVar("T")


class Mailbox:
    """The answers to one request, for one reader; like an asyncio.Queue that costs less."""

    def __init__(self) -> None:
        self._mail: deque[Mail] = deque()
        self._arrival: asyncio.Future[None] | None = None

    def put(self, mail: Mail) -> None:
        self._mail.append(mail)
        if self._arrival and not self._arrival.done():
            self._arrival.set_result(None)

    async def get(self) -> Mail:
        """The next answer, as soon as there is one."""
        if not self._mail:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        return self._mail.popleft()


class Channel(asyncio.Protocol):
    """The server's end of the socket. `heard` is called for all that comes, `lost` at its end.

    `received` counts the times that something came.
    """

    def __init__(self, heard: Callable[[], None], lost: Callable[[], None]) -> None:
        self._heard = heard
        self._lost = lost
        self.received = 0
        self._frames = FrameBuffer()
        self._ids = count()
        # A request is here until its last answer has come.
        self._open: dict[int, Mailbox] = {}
        self._transport: asyncio.Transport | None = None

    @property
    def busy(self) -> bool:
        """Does any request wait for an answer?"""
        return bool(self._open)

    @contextmanager
    def exchange(self) -> Iterator[tuple[int, Mailbox]]:
        """A new request's id and mailbox. Leaving before the last answer cancels the request."""
        id_ = next(self._ids)
        mailbox = self._open[id_] = Mailbox()
        try:
            yield id_, mailbox
        finally:
            if self._open.pop(id_, None):
                self.send(Cancel(id_))

    def send(self, command: Command) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(encode(command))

    def fail(self, message: str) -> None:
        """End every open request with an EngineError."""
        for mailbox in self._open.values():
            mailbox.put(EngineError(message))
        self._open.clear()

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No isinstance: uvloop's transports are not asyncio's by inheritance.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._heard()
        self.received += 1
        for frame in self._frames.feed(data):
            for answer in decode_answers(frame):
                self._deliver(answer.id, answer.body)

    def _deliver(self, id_: int, body: Body) -> None:
        more = isinstance(body, Piece | LoadProgress)
        # A request that was cancelled has no mailbox any more.
        mailbox = self._open.get(id_) if more else self._open.pop(id_, None)
        if mailbox:
            mailbox.put(body)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()


def expect(body: Mail, kind: type[T]) -> T:
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
