"""Manifests, tags and referrers."""

import asyncio
from urllib.parse import urlencode

from quart import Blueprint, Response, request

from modelkit.digest import Digest
from modelkit.manifest import MAX_MANIFEST_SIZE, Manifest, MediaType
from modelkit.registry.server.answers import OCIError, base_url, empty, json_answer
from modelkit.registry.server.blob_routes import repository_of
from modelkit.registry.server.body import read_all

routes = Blueprint("manifests", __name__)
_MANIFEST = "/v2/<path:repository>/manifests/<reference>"
_MAX_TAGS = 10_000


@routes.get(_MANIFEST)
async def get_manifest(repository: str, reference: str) -> Response:
    """Send a manifest's exact bytes, whatever types the client says it accepts."""
    manifest = await asyncio.to_thread(repository_of(repository).manifest, reference)
    return _answer(manifest)


def _answer(manifest: Manifest) -> Response:
    digest = manifest.digest
    headers = {
        "Content-Type": manifest.media_type,
        "Docker-Content-Digest": str(digest),
        "ETag": f'"{digest}"',
    }
    if f'"{digest}"' in request.headers.get("If-None-Match", ""):
        return empty(304, headers)
    if request.method == "HEAD":
        return empty(200, {**headers, "Content-Length": str(len(manifest.raw))})
    return Response(manifest.raw, 200, headers)


@routes.put(_MANIFEST)
async def put_manifest(repository: str, reference: str) -> Response:
    """Store a manifest under a tag or its digest."""
    known = repository_of(repository)
    raw = await read_all(request.body, MAX_MANIFEST_SIZE)
    if raw is None:
        message = f"a manifest has at most {MAX_MANIFEST_SIZE} bytes"
        raise OCIError(413, "MANIFEST_INVALID", message)
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip()
    manifest = await asyncio.to_thread(known.put, reference, raw, content_type)
    headers = {
        "Location": f"{base_url()}/v2/{repository}/manifests/{manifest.digest}",
        "Docker-Content-Digest": str(manifest.digest),
    }
    if manifest.subject is not None:
        headers["OCI-Subject"] = str(manifest.subject.digest)
    return empty(201, headers)


@routes.delete(_MANIFEST)
async def delete_manifest(repository: str, reference: str) -> Response:
    """Remove a tag, or a manifest with all its tags, and the blobs nothing else uses."""
    await asyncio.to_thread(repository_of(repository).delete, reference)
    return empty(202)


@routes.get("/v2/<path:repository>/tags/list")
async def list_tags(repository: str) -> Response:
    """The tags in order, `n` of them after `last`."""
    tags = await asyncio.to_thread(repository_of(repository).tags)
    last = request.args.get("last")
    remaining = [tag for tag in tags if last is None or tag > last]
    count = request.args.get("n")
    if count is not None and not (count.isascii() and count.isdigit()):
        raise OCIError(400, "PAGINATION_NUMBER_INVALID", "n is not a number")
    limit = min(int(count), _MAX_TAGS) if count is not None else _MAX_TAGS
    page = remaining[:limit]
    headers = {}
    if page and len(remaining) > limit:
        query = urlencode({"n": limit, "last": page[-1]})
        headers["Link"] = f'</v2/{repository}/tags/list?{query}>; rel="next"'
    return json_answer({"name": repository, "tags": page}, headers=headers)


@routes.get("/v2/<path:repository>/referrers/<digest>")
async def list_referrers(repository: str, digest: str) -> Response:
    """The index of what refers to a manifest: its signatures."""
    wanted = request.args.get("artifactType")
    known = repository_of(repository)
    index = await asyncio.to_thread(known.referrers, Digest.parse(digest), wanted)
    headers = {"Content-Type": MediaType.OCI_INDEX}
    if wanted is not None:
        headers["OCI-Filters-Applied"] = "artifactType"
    return Response(index.raw, 200, headers)
