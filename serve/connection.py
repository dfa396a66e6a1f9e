"""Quart's HTTP connection with back pressure: a body larger than memory can be streamed to disk."""

import asyncio
from typing import cast

from hypercorn.typing import ASGIReceiveCallable
from quart import Request
from quart.asgi import ASGIHTTPConnection
from quart.wrappers.request import Body

BUFFER = 1 << 20


class StreamedBody(Body):
    """A body that holds at most about BUFFER bytes until its reader takes them."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self._room = asyncio.Event()
        self._released = False

    async def room(self) -> None:
        """Wait until the reader has caught up, or will read no more."""
        while len(self._data) >= BUFFER and not self._released:
            self._room.clear()
            await self._room.wait()

    def release(self) -> None:
        """The answer is decided: whatever still arrives is dropped."""
        self._released = True
        self._room.set()

    def append(self, data: bytes) -> None:
        if not self._released:
            super().append(data)

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        self._room.set()
        return data


class StreamingRequest(Request):
    """A request whose body is a StreamedBody; read it with `async for`."""

    body_class = StreamedBody


class Connection(ASGIHTTPConnection):
    """Takes the next part of a body only when there is room for it."""

    async def handle_messages(self, request: Request, receive: ASGIReceiveCallable) -> None:
        body = cast(StreamedBody, request.body)
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            if message["type"] == "http.request":
                body.append(message.get("body", b""))
                if not message.get("more_body", False):
                    body.set_complete()
            await body.room()
