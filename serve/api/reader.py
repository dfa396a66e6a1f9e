"""Request bodies into structs, with a limit on their size."""

from typing import TypeVar

import msgspec
from quart import g, request

from modelkit.serve.api.codec import decode
from modelkit.serve.api.errors import ApiError
from modelkit.serve.middleware.encoding import decoded

MAX_JSON = 256 << 20
"""Bytes of JSON in one request: room for a conversation with many images."""

T = TypeVar("T", bound=msgspec.Struct)


async def read(kind: type[T]) -> T:
    """This request's JSON body; raises ApiError 400 or 413."""
    return decode(await read_bytes(), kind)


async def peek_bytes() -> bytes:
    """As read_bytes, which gives the same once more."""
    g.peeked = body = await read_bytes()
    return body


async def read_bytes() -> bytes:
    """This request's body, decompressed; raises ApiError 400, 413 or 415."""
    peeked: bytes | None = g.pop("peeked", None)
    if peeked is not None:
        return peeked
    if (request.content_length or 0) > MAX_JSON:
        raise _too_large()
    body = bytearray()
    async for chunk in request.body:
        body += chunk
        if len(body) > MAX_JSON:
            raise _too_large()
    return await decoded(bytes(body), request.headers.get("Content-Encoding", ""))


def _too_large() -> ApiError:
    return ApiError(413, f"the request body is larger than {MAX_JSON} bytes")
