"""Parts of a stream that come together leave together; none waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from modelkit.errors import ModelkitError
from modelkit.serve.bursts import bursts

Pieces = list[list[bytes]]


class _Source:
    """Groups of parts, each there at once when it is let go; says when it was closed."""

    def __init__(self, groups: Pieces, error: Exception | None = None) -> None:
        self.groups = groups
        self.go = asyncio.Semaphore(0)
        self.error = error
        self.closed = False

    async def parts(self) -> AsyncGenerator[bytes, None]:
        try:
            for group in self.groups:
                await self.go.acquire()
                for part in group:
                    yield part
            if self.error:
                raise self.error
        finally:
            self.closed = True


async def test_what_is_there_is_one_burst() -> None:
    source = _Source([[b"a"], [b"b", b"c"], [b"d"]])
    stream = bursts(source.parts())
    found = []
    for _ in source.groups:
        source.go.release()
        found.append(await anext(stream))
    assert found == [b"a", b"bc", b"d"]
    assert await anext(stream, None) is None
    assert source.closed


async def test_an_error_comes_after_what_was_said_before() -> None:
    source = _Source([[b"a", b"b"]], ModelkitError("no more"))
    source.go.release()
    stream = bursts(source.parts())
    assert await anext(stream) == b"ab"
    with pytest.raises(ModelkitError, match="no more"):
        await anext(stream)


async def test_closing_ends_the_source() -> None:
    source = _Source([[b"a"], [b"b"]])
    source.go.release()
    stream = bursts(source.parts())
    assert await anext(stream) == b"a"
    await stream.aclose()
    assert source.closed


async def test_a_cancelled_reader_ends_the_source() -> None:
    source = _Source([[b"a"]])
    reader = asyncio.create_task(anext(bursts(source.parts())))
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.wait({reader})
    assert source.closed


async def test_a_source_that_is_faster_than_its_reader_waits() -> None:
    made = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal made
        while True:
            made += 1
            yield b"x"

    stream = bursts(endless())  # type: ignore[arg-type]
    first = await anext(stream)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert made <= 2 * len(first) + 1
    await stream.aclose()
