"""Answers as server-sent events, with honest errors."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from quart import Response

from modelkit.errors import ModelkitError
from modelkit.serve.api.codec import encode
from modelkit.serve.bursts import bursts

_log = logging.getLogger(__name__)

DONE = b"data: [DONE]\n\n"
"""What ends a stream of OpenAI's that did not fail."""

Failure = Callable[[Exception], dict[str, Any]]


def frame(data: object, event: str = "") -> bytes:
    """One event; `event` is its name, if it has one."""
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + encode(data) + b"\n\n"


async def sse_response(frames: AsyncGenerator[bytes, None], failure: Failure) -> Response:
    """A stream of frames.

    The first is awaited here: an error before it is an ordinary error answer with its own status.
    After it the status is sent, so an error is one last frame that holds `failure(error)`. When
    the client goes away the generator is closed, which stops the work behind it.
    """
    try:
        first = await anext(frames, b"")
    except BaseException:
        await frames.aclose()
        raise
    response = Response(
        bursts(_frames(first, frames, failure)),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-cache"},
    )
    response.timeout = None
    return response


async def _frames(
    first: bytes, frames: AsyncGenerator[bytes, None], failure: Failure
) -> AsyncGenerator[bytes, None]:
    async with aclosing(frames):
        yield first
        try:
            async for data in frames:
                yield data
        except ModelkitError as error:
            yield frame(failure(error))
        except Exception as error:
            _log.exception("a stream failed")
            yield frame(failure(error))
