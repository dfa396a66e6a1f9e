"""Blobs: reading them whole or in ranges."""

import asyncio
import re
from collections.abc import AsyncIterator

from quart import Blueprint, Response, current_app, request

from modelkit.digest import Digest
from modelkit.registry.server.answers import OCIError, base_url, empty
from modelkit.registry.server.body import CHUNK_SIZE
from modelkit.registry.server.repository import Repository
from modelkit.store import Store

routes = Blueprint("blobs", __name__)
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


def repository_of(path: str) -> Repository:
    """The repository that a request names."""
    store: Store = current_app.extensions["modelkit.store"]
    return Repository(store, path)


@routes.get("/v2/<path:repository>/blobs/<digest>")
async def get_blob(repository: str, digest: str) -> Response:
    """Send a blob or one range of it; HEAD tells its size."""
    wanted = Digest.parse(digest)
    store = await asyncio.to_thread(repository_of(repository).blob_store, wanted)
    headers = {
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": str(wanted),
        "ETag": f'"{wanted}"',
        "Accept-Ranges": "bytes",
        # Ollama's client asks a 200, too, where the bytes are.
        "Location": f"{base_url()}/v2/{repository}/blobs/{wanted}",
        "Cache-Control": "max-age=31536000, immutable",
    }
    if f'"{wanted}"' in request.headers.get("If-None-Match", ""):
        return empty(304, headers)
    size = await asyncio.to_thread(store.blob_size, wanted)
    start, end, status = 0, size, 200
    given = parse_range(request.headers.get("Range", ""), size)
    if given is not None:
        start, end, status = *given, 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return empty(status, headers)
    response = Response(_send(store, wanted, start, end), status, headers)
    response.timeout = None
    return response


async def _send(store: Store, digest: Digest, start: int, end: int) -> AsyncIterator[bytes]:
    # Opened here and not in a thread: a client that leaves meanwhile would leave the file open.
    with store.open_blob(digest) as file:
        file.seek(start)
        left = end - start
        while left > 0:
            data = await asyncio.to_thread(file.read, min(CHUNK_SIZE, left))
            if not data:
                return  # truncated under us: the short body tells the client
            left -= len(data)
            yield data


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """First and one-past-last byte of a single range; None for the whole blob.

    Anything but one byte range is ignored, as RFC 9110 allows. Raises OCIError (416) for a range
    that lies outside.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[0] == "bytes=-":
        return None
    if not match[1]:  # the last n bytes
        start, end = max(size - int(match[2]), 0), size
    else:
        start = int(match[1])
        end = min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= size or start >= end:
        raise OCIError(
            416,
            "RANGE_INVALID",
            f"the blob has {size} bytes",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, end


@routes.delete("/v2/<path:repository>/blobs/<digest>")
async def delete_blob(repository: str, digest: str) -> Response:
    """Blobs go when the last model that uses them is deleted."""
    raise OCIError(405, "UNSUPPORTED", "delete the manifests; unused blobs go with them")
