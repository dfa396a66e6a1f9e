"""Streams whose parts leave together when they come together."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

_MOST = 256
"""Parts that may wait for a client that reads slowly."""


async def bursts(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The parts, joined where several are there: to send one costs more than to make it.

    None waits for another. They are made in a task of their own; closing this ends it. Raises what
    `parts` raises, after what came before.
    """
    waiting: list[bytes] = []
    arrived, room = asyncio.Event(), asyncio.Event()

    async def collect() -> None:
        async with aclosing(parts):
            async for part in parts:
                waiting.append(part)
                arrived.set()
                if len(waiting) >= _MOST:
                    room.clear()
                    await room.wait()

    work = asyncio.create_task(collect())
    work.add_done_callback(lambda _: arrived.set())
    try:
        while waiting or not work.done():
            await arrived.wait()
            arrived.clear()
            if waiting:
                data = b"".join(waiting)
                waiting.clear()
                room.set()
                yield data
        work.result()
    finally:
        work.cancel()
        await asyncio.wait({work})
