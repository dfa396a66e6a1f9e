"""Blob uploads: whole, in parts, resumed, or mounted from another repository."""

import asyncio
import re

from quart import Blueprint, Response, current_app, request

from modelkit.digest import Digest
from modelkit.errors import InvalidDigest
from modelkit.registry.server.answers import OCIError, base_url, empty
from modelkit.registry.server.blob_routes import repository_of
from modelkit.registry.server.body import chunks
from modelkit.registry.server.uploads import Upload, Uploads, out_of_order, received

routes = Blueprint("uploads", __name__)
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(\d{1,19})-(\d{1,19})(?:/(?:\d{1,19}|\*))?", re.ASCII)
_SESSIONS = "/v2/<path:repository>/blobs/uploads"


def _uploads() -> Uploads:
    uploads: Uploads = current_app.extensions["modelkit.uploads"]
    return uploads


@routes.post(_SESSIONS, strict_slashes=False)
@routes.post(f"{_SESSIONS}/", strict_slashes=False)
async def start(repository: str) -> Response:
    """Start a session, take a blob that is here already, or take the whole body at once."""
    known = repository_of(repository)
    mounted = _digest_or_none(request.args.get("mount", ""))
    if mounted is not None and known.has_blob(mounted):
        return _created(repository, mounted)
    digest = request.args.get("digest")
    expected = Digest.parse(digest) if digest else None
    upload = await asyncio.to_thread(_uploads().start)
    if expected is None:
        return _accepted(repository, upload, 0)
    await _receive(upload, 0)
    return await _finish(repository, upload, expected)


def _digest_or_none(text: str) -> Digest | None:
    try:
        return Digest.parse(text)
    except InvalidDigest:
        return None  # nothing to mount: the client uploads instead


@routes.patch(f"{_SESSIONS}/<identifier>")
async def continue_upload(repository: str, identifier: str) -> Response:
    """Append the body to a session; with Content-Range only where it belongs."""
    repository_of(repository)
    upload = await asyncio.to_thread(_uploads().get, identifier)
    size = await _receive(upload, await _position(upload))
    return _accepted(repository, upload, size)


@routes.put(f"{_SESSIONS}/<identifier>")
async def finish(repository: str, identifier: str) -> Response:
    """Append what the body still brings, check the digest, and make it a blob."""
    repository_of(repository)
    upload = await asyncio.to_thread(_uploads().get, identifier)
    digest = request.args.get("digest")
    if not digest:
        raise OCIError(400, "DIGEST_INVALID", "the digest parameter is missing")
    expected = Digest.parse(digest)
    await _receive(upload, await _position(upload))
    return await _finish(repository, upload, expected)


@routes.get(f"{_SESSIONS}/<identifier>")
async def status(repository: str, identifier: str) -> Response:
    """How many bytes of a session have arrived."""
    repository_of(repository)
    upload = await asyncio.to_thread(_uploads().get, identifier)
    size = await asyncio.to_thread(lambda: upload.size)
    return empty(204, _session_headers(repository, upload, size))


@routes.delete(f"{_SESSIONS}/<identifier>")
async def cancel(repository: str, identifier: str) -> Response:
    """Throw a session away."""
    repository_of(repository)
    await asyncio.to_thread(_uploads().cancel, identifier)
    return empty(204)


async def _position(upload: Upload) -> int:
    """Where the body belongs: the end of the session, which a Content-Range must agree with."""
    size = await asyncio.to_thread(lambda: upload.size)
    header = request.headers.get("Content-Range")
    if header is None:
        return size
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is None:
        raise OCIError(400, "BLOB_UPLOAD_INVALID", f"Content-Range {header[:80]!r} is not a range")
    first, last = int(match[1]), int(match[2])
    length = request.content_length
    if length is not None and length != max(last - first + 1, 0):
        raise OCIError(400, "SIZE_INVALID", f"Content-Range {header[:80]} is not {length} bytes")
    if first != size:
        raise out_of_order(upload.identifier, size)
    return first


async def _receive(upload: Upload, position: int) -> int:
    async for data in chunks(request.body):
        position = await asyncio.to_thread(upload.append, position, data)
    return position


async def _finish(repository: str, upload: Upload, expected: Digest) -> Response:
    await asyncio.to_thread(_uploads().finish, upload, expected)
    return _created(repository, expected)


def _created(repository: str, digest: Digest) -> Response:
    location = f"{base_url()}/v2/{repository}/blobs/{digest}"
    return empty(201, {"Location": location, "Docker-Content-Digest": str(digest)})


def _accepted(repository: str, upload: Upload, size: int) -> Response:
    return empty(202, _session_headers(repository, upload, size))


def _session_headers(repository: str, upload: Upload, size: int) -> dict[str, str]:
    return {
        "Location": f"{base_url()}/v2/{repository}/blobs/uploads/{upload.identifier}",
        "Docker-Upload-UUID": upload.identifier,
        "Range": received(size),
    }
