"""Request bodies that wait for their reader.

Quart reads a body from the socket as fast as it comes, into memory. An upload of many gigabytes
must instead wait while the disk is slower than the network.
"""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from quart import Request
from quart.asgi import ASGIHTTPConnection
from quart.wrappers.request import Body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hypercorn.typing import ASGIReceiveCallable

HIGH_WATER = 2 * 1024 * 1024
"""Bytes of one body held in memory before the socket has to wait."""
CHUNK_SIZE = 1024 * 1024
_DRAIN_LIMIT = 4 * 1024 * 1024
_DRAIN_SECONDS = 1.0


class BoundedBody(Body):
    """A body that says when there is room for more."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self._room = asyncio.Event()
        self._room.set()

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        self._room.set()
        return data

    def append(self, data: bytes) -> None:
        """Take what came from the socket."""
        super().append(data)
        if len(self._data) >= HIGH_WATER:
            self._room.clear()

    async def room(self) -> None:
        """Wait until the reader has taken what is here."""
        await self._room.wait()


class BoundedRequest(Request):
    """A request whose body is bounded in memory."""

    body_class = BoundedBody
    body: BoundedBody


class BoundedConnection(ASGIHTTPConnection):
    """Takes the next piece of a body only when there is room for it."""

    async def handle_messages(self, request: Request, receive: "ASGIReceiveCallable") -> None:
        """Feed the body until it is complete or the client has gone."""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            if message["type"] == "http.request":
                request.body.append(message.get("body", b""))
                if not message.get("more_body", False):
                    request.body.set_complete()
                elif isinstance(request.body, BoundedBody):
                    await request.body.room()


async def chunks(body: Body) -> "AsyncIterator[bytes]":
    """The body in pieces of at least 1 MiB, but for the last: fewer, larger writes."""
    pending = bytearray()
    async for data in body:
        pending += data
        if len(pending) >= CHUNK_SIZE:
            yield bytes(pending)
            pending.clear()
    if pending:
        yield bytes(pending)


async def read_all(body: Body, limit: int) -> bytes | None:
    """A small body whole; None when it is longer than `limit` bytes."""
    data = bytearray()
    async for piece in body:
        data += piece
        if len(data) > limit:
            return None
    return bytes(data)


async def drain(body: Body) -> None:
    """Read away the rest of a short body, so that a client still sending sees the answer."""
    seen = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for piece in body:
                seen += len(piece)
                if seen > _DRAIN_LIMIT:
                    return
