"""Reading request bodies: in large pieces, whole within a limit, or away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from quart.wrappers.request import Body

CHUNK_SIZE = 1024 * 1024
_DRAIN_LIMIT = 4 * 1024 * 1024
_DRAIN_SECONDS = 1.0


async def chunks(body: Body) -> AsyncIterator[bytes]:
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
