"""Compressed request bodies."""

import asyncio

from modelkit.serve.api.errors import ApiError
from modelkit.serve.compression import Broken, decompressed

MAX_DECODED = 20 << 20
"""Bytes that a compressed body may become."""


async def decoded(body: bytes, encoding: str) -> bytes:
    """The body that a Content-Encoding of gzip or zstd hides; any other but identity is refused.

    Raises ApiError 400 for a body that is broken or becomes larger than MAX_DECODED, 415 for
    another encoding.
    """
    kind = encoding.strip().lower()
    if kind in ("", "identity"):
        return body
    try:
        plain = await asyncio.to_thread(decompressed, body, kind, MAX_DECODED)
    except KeyError:
        raise ApiError(
            415,
            f"the content encoding {encoding[:64]!r} is not known",
            hint="send the body as it is, or with zstd or gzip",
        ) from None
    except Broken:
        raise ApiError(400, f"the request body is not valid {kind.removeprefix('x-')}") from None
    if len(plain) > MAX_DECODED:
        raise ApiError(400, f"the decompressed request body is larger than {MAX_DECODED} bytes")
    return plain
