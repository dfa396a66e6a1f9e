"""/api/blobs: files on their way into a model, streamed to disk and hashed in flight."""

import asyncio
import hashlib
from collections.abc import AsyncIterable
from concurrent.futures import ThreadPoolExecutor

from quart import Blueprint, Response, request

from modelkit.digest import Digest
from modelkit.errors import DigestMismatch, InvalidDigest
from modelkit.serve.api.errors import ApiError
from modelkit.serve.api.state import state
from modelkit.store import BlobWriter

blueprint = Blueprint("blobs", __name__)


@blueprint.route("/api/blobs/<digest>", methods=["HEAD"])
async def head(digest: str) -> Response:
    """HEAD /api/blobs/<digest>: 200 when the blob is there."""
    if not state().store.has_blob(_parse(digest)):
        raise ApiError(404, f'blob "{digest}" not found')
    return Response(status=200)


@blueprint.post("/api/blobs/<digest>")
async def create(digest: str) -> Response:
    """POST /api/blobs/<digest>: 201 stored, 200 there already, 400 when the bytes differ."""
    expected, store = _parse(digest), state().store
    if store.has_blob(expected):
        async for _ in request.body:
            pass  # a client that is still sending would not read an early answer
        return Response(status=200)
    if digest != str(expected):
        raise _mismatch(digest, await _hash(request.body))
    writer = store.writer(expected)
    try:
        await _save(request.body, writer)
    except DigestMismatch:
        raise _mismatch(digest, writer.digest) from None
    return Response(status=201)


def _parse(digest: str) -> Digest:
    try:
        return Digest.parse(digest)
    except InvalidDigest:
        raise ApiError(400, "invalid digest format") from None


def _mismatch(expected: str, actual: object) -> ApiError:
    return ApiError(400, f'digest mismatch, expected "{expected}", got "{actual}"')


async def _hash(body: AsyncIterable[bytes]) -> Digest:
    digest = hashlib.sha256()
    async for chunk in body:
        digest.update(chunk)
    return Digest(digest.hexdigest())


async def _save(body: AsyncIterable[bytes], writer: BlobWriter) -> None:
    """Write the body in a thread; a client that goes away leaves nothing behind."""
    loop = asyncio.get_running_loop()
    # One thread, so that the clean-up of a cancelled upload runs after its last write.
    with_writer = ThreadPoolExecutor(1, thread_name_prefix="modelkit-upload")
    try:
        await loop.run_in_executor(with_writer, writer.__enter__)
        try:
            async for chunk in body:
                await loop.run_in_executor(with_writer, writer.write, chunk)
        except BaseException as error:
            with_writer.submit(writer.__exit__, type(error), error, error.__traceback__)
            raise
        await loop.run_in_executor(with_writer, writer.__exit__, None, None, None)
    finally:
        with_writer.shutdown(wait=False)
