"""Compressed request bodies: what comes out is limited before it is made."""

import asyncio
import io
import zlib

from modelkit.serve.api.errors import ApiError

MAX_DECODED = 20 << 20
"""Bytes that a compressed body may become."""
_GZIP = 16 + zlib.MAX_WBITS


async def decoded(body: bytes, encoding: str) -> bytes:
    """The body that a Content-Encoding of gzip or zstd hides; any other but identity is refused.

    At most MAX_DECODED bytes and one more are ever made, whatever the body promises. Raises
    ApiError 400 for a body that is broken or becomes larger, 415 for another encoding.
    """
    kind = encoding.strip().lower()
    if kind in ("", "identity"):
        return body
    if kind not in ("gzip", "x-gzip", "zstd"):
        raise ApiError(
            415,
            f"the content encoding {encoding[:64]!r} is not known",
            hint="send the body as it is, or with zstd or gzip",
        )
    plain = await asyncio.to_thread(_zstd if kind == "zstd" else _gzip, body)
    if len(plain) > MAX_DECODED:
        raise ApiError(400, f"the decompressed request body is larger than {MAX_DECODED} bytes")
    return plain


def _zstd(body: bytes) -> bytes:
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=MAX_DECODED).stream_reader(
        io.BytesIO(body), read_across_frames=True
    )
    try:
        return reader.read(MAX_DECODED + 1)
    except zstandard.ZstdError:
        raise _broken("zstd") from None


def _gzip(body: bytes) -> bytes:
    """One member after the other, as gzip defines a file (RFC 1952, section 2.2)."""
    plain = b""
    while body:
        member = zlib.decompressobj(_GZIP)
        try:
            plain += member.decompress(body, MAX_DECODED + 1 - len(plain))
        except zlib.error:
            raise _broken("gzip") from None
        if len(plain) > MAX_DECODED:
            break
        if not member.eof:
            raise _broken("gzip")
        body = member.unused_data
    return plain


def _broken(kind: str) -> ApiError:
    return ApiError(400, f"the request body is not valid {kind}")
