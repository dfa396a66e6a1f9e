"""/api/pull and /api/push: models to and from registries, with their progress."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from quart import Blueprint, Response

from modelkit.errors import InvalidName, ModelNotFound, NotFound
from modelkit.names import ModelName
from modelkit.progress import Progress, Report
from modelkit.registry.transfer import pull as pull_model
from modelkit.registry.transfer import push as push_model
from modelkit.serve.api.errors import ApiError, NameErrors
from modelkit.serve.api.models import NamedRequest
from modelkit.serve.api.names import target
from modelkit.serve.api.reader import read
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response, ndjson_response, progress

blueprint = Blueprint("transfer", __name__)

_PULL = NameErrors(400, "invalid model name")


class TransferRequest(NamedRequest, kw_only=True):
    """The body of /api/pull and /api/push; `insecure` means plain http."""

    insecure: bool = False
    stream: bool = True


@blueprint.post("/api/pull")
async def pull() -> Response:
    """Fetch a model into the store, as far as the trust policy lets it in."""
    body = await read(TransferRequest)
    name = target(body.asked, _PULL)
    store = state().store

    def work(report: Report) -> None:
        try:
            pull_model(name, store, report=report, insecure=body.insecure)
        except NotFound:
            raise ApiError(500, "pull model manifest: file does not exist") from None

    return await respond(work, body.stream)


@blueprint.post("/api/push")
async def push() -> Response:
    """Send a model and its signatures to its registry."""
    body = await read(TransferRequest)
    if not body.asked.strip():
        raise ApiError(400, "model is required")
    store = state().store

    def work(report: Report) -> None:
        name = _local_name(body.asked, report)
        try:
            push_model(name, store, report=report, insecure=body.insecure)
        except ModelNotFound:
            path = store.manifests / name.relative_path
            raise ApiError(500, f"open {path}: no such file or directory") from None

    return await respond(work, body.stream)


async def respond(work: Callable[[Report], object], stream: bool) -> Response:
    """Run blocking work whose last status is `success`: a line for each, or that one alone."""
    lines = status_lines(work)
    if stream:
        return await ndjson_response(lines)
    async with aclosing(lines):
        async for _ in lines:
            pass
    return json_response({"status": "success"}, content_type="application/json")


async def status_lines(work: Callable[[Report], object]) -> AsyncGenerator[dict[str, Any], None]:
    """The status lines of blocking work; closing the generator stops the work."""
    async with aclosing(progress(work)) as steps:
        async for step in steps:
            yield status_line(step)


def status_line(step: Progress) -> dict[str, Any]:
    """One status object; zero counts are left out."""
    line: dict[str, Any] = {"status": step.status}
    if step.digest is not None:
        line["digest"] = str(step.digest)
    if step.total:
        line["total"] = step.total
    if step.completed:
        line["completed"] = step.completed
    return line


def _local_name(text: str, report: Report) -> ModelName:
    try:
        return ModelName.parse(text.strip())
    except InvalidName:
        report(Progress("retrieving manifest"))
        raise ApiError(500, f"unqualified name: {text}") from None
