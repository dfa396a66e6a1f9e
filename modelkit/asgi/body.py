"""Request bodies that wait for their reader.

Quart reads a body from the socket as fast as it comes, into memory. An upload of many gigabytes
must instead wait while the disk is slower than the network.
"""

import asyncio
from typing import cast

from hypercorn.typing import ASGIReceiveCallable
from quart import Request
from quart.asgi import ASGIHTTPConnection
from quart.wrappers.request import Body

HIGH_WATER = 1024 * 1024
"""Bytes of one body held in memory before the socket has to wait."""


class BoundedBody(Body):
    """A body that holds about HIGH_WATER bytes at the most until its reader takes them."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self._room = asyncio.Event()
        self._released = False

    async def room(self) -> None:
        """Wait until the reader has caught up, or will read no more."""
        while len(self._data) >= HIGH_WATER and not self._released:
            self._room.clear()
            await self._room.wait()

    def release(self) -> None:
        """The answer is decided: whatever still arrives is dropped."""
        self._released = True
        self._room.set()

    def append(self, data: bytes) -> None:
        """Take what came from the socket."""
        if not self._released:
            super().append(data)

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        self._room.set()
        return data


class BoundedRequest(Request):
    """A request whose body is a BoundedBody; read it with `async for`."""

    body_class = BoundedBody
    body: BoundedBody


class BoundedConnection(ASGIHTTPConnection):
    """Takes the next piece of a body only when there is room for it."""

    async def handle_messages(self, request: Request, receive: ASGIReceiveCallable) -> None:
        """Feed the body until the client has gone."""
        body = cast(BoundedBody, request.body)
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            if message["type"] == "http.request":
                body.append(message.get("body", b""))
                if not message.get("more_body", False):
                    body.set_complete()
            await body.room()
