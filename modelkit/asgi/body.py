"""Request bodies that wait for their reader.

Quart reads a body from the socket as fast as it comes, into memory. An upload of many gigabytes
must instead wait while the disk is slower than the network.
"""

import asyncio
from time import monotonic
from typing import cast

from hypercorn.typing import ASGIReceiveCallable
from quart import Request
from quart.asgi import ASGIHTTPConnection
from quart.wrappers.request import Body

from modelkit.errors import ModelkitError

PATIENCE = 60.0
"""Seconds that a client may take to send the next bytes of a body."""
LEAST_RATE = 500
"""Bytes a second that it must send in the long run, once PATIENCE is over."""
HIGH_WATER = 1024 * 1024
"""Bytes of one body held in memory before the socket has to wait."""


class TooSlow(ModelkitError):
    """A client sends its body so slowly that it may mean to hold the connection."""

    def __init__(self) -> None:
        super().__init__("the request body came too slowly")


class BoundedBody(Body):
    """A body that holds about HIGH_WATER bytes at the most until its reader takes them.

    Reading it raises TooSlow; time in which the reader does not read is not the client's.
    """

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self._room = asyncio.Event()
        self._released = False
        self._received = 0
        self._waited = 0.0

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
        data = await (super().__anext__() if self._has_data.is_set() else self._patiently())
        self._received += len(data)
        self._room.set()
        return data

    async def _patiently(self) -> bytes:
        """The next bytes, which are not there yet."""
        left = PATIENCE + self._received / LEAST_RATE - self._waited
        started = monotonic()
        try:
            async with asyncio.timeout(min(PATIENCE, left)):
                return await super().__anext__()
        except TimeoutError:
            raise TooSlow from None
        finally:
            self._waited += monotonic() - started


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
