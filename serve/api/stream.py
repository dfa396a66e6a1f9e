"""Answers of many lines: NDJSON with honest errors, and blocking work that reports its progress."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress

from quart import Response

from modelkit.errors import Cancelled, ModelkitError
from modelkit.progress import Progress, Report
from modelkit.serve.api.codec import encode
from modelkit.serve.api.errors import body_of
from modelkit.serve.bursts import bursts

_log = logging.getLogger(__name__)

INTERNAL_ERROR = {"error": "internal server error"}
"""What a client is told of a defect of ours; the log has the rest."""

NDJSON = "application/x-ndjson"
JSON = "application/json; charset=utf-8"


def json_response(value: object, status: int = 200, content_type: str = JSON) -> Response:
    """One JSON body."""
    return Response(encode(value), status=status, content_type=content_type)


async def ndjson_response(events: AsyncGenerator[object, None]) -> Response:
    """A stream of one JSON line per event.

    The first event is awaited here: an error before it is an ordinary error answer with its own
    status. After it the status is sent, so an error is a last line `{"error": …}`. When the
    client goes away the generator is closed, which stops the work behind it.
    """
    lines = bursts(_lines(events))
    try:
        first = await anext(lines, b"")
    except BaseException:
        await lines.aclose()
        raise
    response = Response(_rest(first, lines), content_type=NDJSON)
    response.timeout = None
    return response


async def _rest(first: bytes, lines: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(lines):
        yield first
        async for more in lines:
            yield more


async def _lines(events: AsyncGenerator[object, None]) -> AsyncGenerator[bytes, None]:
    """A line per event; an error before the first is raised, a later one is the last line."""
    begun = False
    async with aclosing(events):
        try:
            async for event in events:
                yield encode(event) + b"\n"
                begun = True
        except ModelkitError as error:
            if not begun:
                raise
            yield encode(body_of(error)) + b"\n"
        except Exception:
            if not begun:
                raise
            _log.exception("a stream failed")
            yield encode(INTERNAL_ERROR) + b"\n"


async def progress(work: Callable[[Report], object]) -> AsyncGenerator[Progress, None]:
    """Run blocking work in a thread of its own and yield what it reports; raises what it raises.

    Closing the generator makes the work's next report raise Cancelled.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Progress | BaseException | None] = asyncio.Queue()
    stopped = threading.Event()

    def tell(item: Progress | BaseException | None) -> None:
        # The loop of a server that has stopped takes nothing any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(queue.put_nowait, item)

    def report(item: Progress) -> None:
        if stopped.is_set():
            raise Cancelled
        tell(item)

    def run() -> None:
        try:
            work(report)
        except BaseException as error:
            tell(error)
        else:
            tell(None)

    threading.Thread(target=run, name="modelkit-work", daemon=True).start()
    try:
        while (item := await queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
