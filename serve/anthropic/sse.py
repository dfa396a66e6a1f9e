"""Server-sent events with pings while nothing else is to be said, and errors as events."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from quart import Response

from modelkit.serve.anthropic.errors import envelope, request_id
from modelkit.serve.anthropic.events import PING, Event
from modelkit.serve.api.codec import encode

SILENCE = 15.0
"""Seconds after which a client is told that the connection lives."""


async def sse_response(events: AsyncGenerator[Event, None]) -> Response:
    """One frame per event.

    The first event is awaited here, so that an error before it has a status of its own; a later
    one is the last event. When the client goes away the generator is closed.
    """
    steady = paced(events, SILENCE)
    try:
        first = await anext(steady)
    except BaseException:
        await steady.aclose()
        raise
    headers = {"Cache-Control": "no-cache"}
    response = Response(
        _frames(first, steady, request_id()), headers=headers, content_type="text/event-stream"
    )
    response.timeout = None
    return response


async def paced(events: AsyncGenerator[Event, None], silence: float) -> AsyncGenerator[Event, None]:
    """The events, and a ping whenever none came for so many seconds; raises what they raise."""
    queue: asyncio.Queue[Event | Exception | None] = asyncio.Queue(1)
    work = asyncio.create_task(_feed(queue, events))
    try:
        while (event := await _next(queue, silence)) is not None:
            if isinstance(event, Exception):
                raise event
            yield event
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def _feed(
    queue: asyncio.Queue[Event | Exception | None], events: AsyncGenerator[Event, None]
) -> None:
    """All events, then None or the error that ended them.

    They are generated in this one task: a generator with a deadline inside cannot change tasks.
    """
    end: Exception | None = None
    try:
        async with aclosing(events):
            async for event in events:
                await queue.put(event)
    except Exception as error:
        end = error
    await queue.put(end)


async def _next(
    queue: asyncio.Queue[Event | Exception | None], silence: float
) -> Event | Exception | None:
    try:
        async with asyncio.timeout(silence):
            return await queue.get()
    except TimeoutError:
        return PING


async def _frames(
    first: Event, events: AsyncGenerator[Event, None], name: str
) -> AsyncIterator[bytes]:
    async with aclosing(events):
        yield _frame(first)
        try:
            async for event in events:
                yield _frame(event)
        except Exception as error:
            yield _frame(envelope(error, name))


def _frame(event: Event) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), encode(event))
