"""Compressed bodies of HTTP: what comes out is limited before it is made."""

import io
import zlib

_GZIP = 16 + zlib.MAX_WBITS


class Broken(ValueError):
    """Bytes that are not what their content encoding says."""


def decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    """The bytes that a content encoding hides; at most `limit` and one more are ever made.

    Raises Broken, and KeyError for an encoding other than none, identity, gzip and zstd.
    """
    plain = _KINDS[encoding.strip().lower()](body, limit)
    return plain[: limit + 1]


def _as_it_is(body: bytes, _limit: int) -> bytes:
    return body


def _zstd(body: bytes, limit: int) -> bytes:
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=max(limit, 1 << 23)).stream_reader(
        io.BytesIO(body), read_across_frames=True
    )
    try:
        return reader.read(limit + 1)
    except zstandard.ZstdError as error:
        raise Broken from error


def _gzip(body: bytes, limit: int) -> bytes:
    """One member after the other, as gzip defines a file (RFC 1952, section 2.2)."""
    plain = b""
    while body:
        member = zlib.decompressobj(_GZIP)
        try:
            plain += member.decompress(body, limit + 1 - len(plain))
        except zlib.error as error:
            raise Broken from error
        if len(plain) > limit:
            break
        if not member.eof:
            raise Broken
        body = member.unused_data
    return plain


_KINDS = {"": _as_it_is, "identity": _as_it_is, "gzip": _gzip, "x-gzip": _gzip, "zstd": _zstd}
