"""Compressed request bodies, and those that want to become too large."""

import asyncio
import gzip
import json
import resource
import zlib
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkit.serve.api.errors import ApiError
from modelkit.serve.middleware.encoding import MAX_DECODED, decoded
from tests.serve.api.harness import Answer, Server

GIGABYTE = 1 << 30


def show(server: Server, body: bytes, encoding: str) -> Answer:
    return server.request("POST", "/api/show", body, {"Content-Encoding": encoding})


def chunked_zstd(body: bytes) -> bytes:
    """A frame that does not say how much comes out."""
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(body) + packer.flush()


def bomb(encoding: str) -> bytes:
    """Zeros of a gigabyte, made a megabyte at a time."""
    packer = (
        zstandard.ZstdCompressor().compressobj()
        if encoding == "zstd"
        else zlib.compressobj(wbits=31)
    )
    zeros = bytes(1 << 20)
    pieces = [packer.compress(zeros) for _ in range(GIGABYTE >> 20)]
    return b"".join([*pieces, packer.flush()])


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("zstd", zstandard.compress(b'{"model": "tiny"}')),
        ("ZSTD", chunked_zstd(b'{"model": "tiny"}')),
        ("zstd", zstandard.compress(b'{"model":') + zstandard.compress(b'"tiny"}')),
        ("gzip", gzip.compress(b'{"model": "tiny"}')),
        ("x-gzip", gzip.compress(b'{"model":') + gzip.compress(b'"tiny"}')),
        ("identity", b'{"model": "tiny"}'),
        ("", b'{"model": "tiny"}'),
    ],
)
def test_a_compressed_body_is_read(open_server: Server, encoding: str, body: bytes) -> None:
    answer = show(open_server, body, encoding)
    assert answer.status == 200
    assert answer.json["details"]["family"] == "llama"


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
def test_every_api_reads_one(open_server: Server, path: str) -> None:
    body = zstandard.compress(json.dumps({"model": "none", "messages": [{}]}).encode())
    answer = open_server.request("POST", path, body, {"Content-Encoding": "zstd"})
    assert answer.status in (400, 404)
    assert b"none" in answer.body or b"role" in answer.body


@pytest.mark.parametrize(
    ("encoding", "body", "status", "message"),
    [
        ("zstd", b'{"model": "tiny"}', 400, "the request body is not valid zstd"),
        ("gzip", b'{"model": "tiny"}', 400, "the request body is not valid gzip"),
        (
            "gzip",
            gzip.compress(b'{"model": "tiny"}')[:-4],
            400,
            "the request body is not valid gzip",
        ),
        ("zstd", zstandard.compress(b'{"model": "tiny"}')[:-4], 400, "unexpected EOF"),
        ("zstd", b"", 400, "missing request body"),
        ("br", b"x", 415, "the content encoding 'br' is not known"),
        ("gzip, zstd", b"x", 415, "the content encoding 'gzip, zstd' is not known"),
    ],
)
def test_a_broken_or_unknown_one_is_refused(
    open_server: Server, encoding: str, body: bytes, status: int, message: str
) -> None:
    answer = show(open_server, body, encoding)
    assert (answer.status, answer.error) == (status, message)


@pytest.mark.parametrize("encoding", ["zstd", "gzip"])
def test_a_bomb_is_refused_before_it_takes_memory(open_server: Server, encoding: str) -> None:
    body = bomb(encoding)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = show(open_server, body, encoding)
    assert answer.status == 400
    assert answer.error == f"the decompressed request body is larger than {MAX_DECODED} bytes"
    # The server runs in this process; kilobytes.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000


@pytest.mark.parametrize("encoding", ["zstd", "gzip"])
def test_the_limit_is_exact(encoding: str) -> None:
    pack = zstandard.compress if encoding == "zstd" else gzip.compress
    assert len(asyncio.run(decoded(pack(bytes(MAX_DECODED)), encoding))) == MAX_DECODED
    with pytest.raises(ApiError) as refused:
        asyncio.run(decoded(pack(bytes(MAX_DECODED + 1)), encoding))
    assert refused.value.status == 400


@settings(deadline=None)
@given(st.binary(max_size=2000), st.sampled_from(["zstd", "gzip"]))
def test_whatever_was_packed_comes_out(body: bytes, encoding: str) -> None:
    pack = zstandard.compress if encoding == "zstd" else gzip.compress
    assert asyncio.run(decoded(pack(body), encoding)) == body


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["zstd", "gzip"]), st.booleans())
def test_no_bytes_do_harm(body: bytes, encoding: str, with_magic: bool) -> None:
    magic = {"zstd": b"\x28\xb5\x2f\xfd", "gzip": b"\x1f\x8b\x08\x00"}[encoding]
    with suppress(ApiError):
        assert len(asyncio.run(decoded(magic * with_magic + body, encoding))) <= MAX_DECODED
