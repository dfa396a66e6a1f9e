"""A stream that has nothing to say says so."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from modelkit.errors import EngineError
from modelkit.serve.anthropic.sse import paced

PING = {"type": "ping"}


async def test_silence_is_filled_with_pings() -> None:
    spoken = asyncio.Event()

    async def slow() -> AsyncGenerator[dict[str, int], None]:
        yield {"a": 1}
        await spoken.wait()
        yield {"b": 2}

    async with aclosing(paced(slow(), 0.01)) as events:
        assert await anext(events) == {"a": 1}
        assert [await anext(events) for _ in range(3)] == [PING] * 3
        spoken.set()
        rest = [event async for event in events if event != PING]
    assert rest == [{"b": 2}]


async def test_an_error_comes_through_after_what_was_said() -> None:
    async def failing() -> AsyncGenerator[dict[str, int], None]:
        yield {"a": 1}
        raise EngineError("gone")

    events = paced(failing(), 60)
    assert await anext(events) == {"a": 1}
    with pytest.raises(EngineError, match="gone"):
        await anext(events)


async def test_closing_ends_the_work_behind_it() -> None:
    ended = asyncio.Event()

    async def endless() -> AsyncGenerator[dict[str, int], None]:
        try:
            while True:
                yield {"a": 1}
                await asyncio.Event().wait()
        finally:
            ended.set()

    events = paced(endless(), 0.01)
    await anext(events)
    await events.aclose()
    assert ended.is_set()
