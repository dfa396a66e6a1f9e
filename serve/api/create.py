"""POST /api/create: a model from uploaded files or from another model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
from quart import Blueprint, Response

from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.digest import Digest
from modelkit.errors import GGUFError, InvalidDigest
from modelkit.names import ModelName
from modelkit.progress import Report
from modelkit.registry.transfer import pull
from modelkit.serve.api.errors import ApiError, NameErrors
from modelkit.serve.api.info import config_of
from modelkit.serve.api.models import NamedRequest
from modelkit.serve.api.names import parse_name, split_source
from modelkit.serve.api.reader import read
from modelkit.serve.api.state import state
from modelkit.serve.api.transfer import respond
from modelkit.serve.errors import NotSupported
from modelkit.serve.prompt import Message
from modelkit.serve.remote.places import CLOUD_HOST, remote_url
from modelkit.store import Store

blueprint = Blueprint("create", __name__)

_ERRORS = NameErrors(400, "invalid model name")


class CreateRequest(NamedRequest, kw_only=True):
    """The body of /api/create; `files`, `adapters` and `draft_files` map names to digests."""

    stream: bool = True
    from_: str = msgspec.field(default="", name="from")
    files: dict[str, str] | None = None
    adapters: dict[str, str] = msgspec.field(default_factory=dict)
    draft_files: dict[str, str] = msgspec.field(default_factory=dict)
    template: str = ""
    license: Any = None
    system: str = ""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    messages: list[Message] = msgspec.field(default_factory=list)
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    quantize: str = ""
    quantization: str = ""
    draft_quantize: str = ""
    remote_host: str = ""
    info: dict[str, Any] = msgspec.field(default_factory=dict)


@blueprint.post("/api/create")
async def create() -> Response:
    """Build a model and give it a name, replacing what had it."""
    body = await read(CreateRequest)
    name = parse_name(body.asked.strip(), _ERRORS)
    store = state().store
    recipe = _recipe(body, store)

    def work(report: Report) -> None:
        def fetch(base: ModelName) -> None:
            pull(base, store, report=report)

        try:
            build(recipe, name, store, report=report, pull=fetch)
        except GGUFError as error:
            raise ApiError(400, error.message, error.hint) from error

    return await respond(work, body.stream)


def _recipe(body: CreateRequest, store: Store) -> Recipe:
    if body.draft_quantize and not body.draft_files:
        raise ApiError(400, "--draft-quantize requires a DRAFT model")
    config = config_of(body.info)
    if body.remote_host or split_source(body.from_).kind == "cloud":
        return _remote(body, config)
    files = _files(body.files or {}, store)
    adapters = _files(body.adapters, store)
    drafts = _files(body.draft_files, store)
    base = _base(body.from_)
    if base is None and body.files is None:
        raise ApiError(400, "neither 'from' or 'files' was specified")
    if base is None and not files:
        raise ApiError(400, "unknown type")
    if body.draft_quantize:
        raise NotSupported("quantizing a draft model (draft_quantize)")
    return replace(
        _texts(body),
        base=base,
        files={} if base else files,
        adapters=adapters,
        drafts=drafts,
        quantize=body.quantize or body.quantization or None,
        config=config,
    )


def _texts(body: CreateRequest) -> Recipe:
    """What a model has beside its weights."""
    return Recipe(
        template=body.template or None,
        system=body.system or None,
        renderer=body.renderer or None,
        parser=body.parser or None,
        requires=body.requires or None,
        licenses=_licenses(body.license),
        parameters=body.parameters,
        messages=tuple((message.role, message.content) for message in body.messages),
    )


def _remote(body: CreateRequest, config: dict[str, Any]) -> Recipe:
    """A model that lives on another server: here are only its texts and where it is."""
    if body.draft_files:
        raise ApiError(400, "DRAFT cannot be used with remote models")
    model = split_source(body.from_).base.strip()
    if not model:
        raise ApiError(400, "neither 'from' or 'files' was specified")
    parse_name(model, _ERRORS)
    host = remote_url(body.remote_host or CLOUD_HOST)
    return replace(_texts(body), config={**config, "remote_host": host, "remote_model": model})


def _base(text: str) -> str | None:
    if not text.strip():
        return None
    return parse_name(split_source(text).base, _ERRORS).short


def _files(digests: Mapping[str, str], store: Store) -> dict[str, Path]:
    """The blobs under the names they have inside the model's folder."""
    return {name: _blob(name, digest, store) for name, digest in digests.items()}


def _blob(name: str, text: str, store: Store) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise ApiError(400, "file path must be relative")
    try:
        digest = Digest.parse(text)
    except InvalidDigest:
        raise ApiError(400, "invalid digest format") from None
    blob = store.blob_path(digest)
    if not store.has_blob(digest):
        raise ApiError(400, f"open {blob}: no such file or directory")
    return blob


def _licenses(value: object) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ApiError(400, f"json: cannot unmarshal {type(value).__name__} into a list of strings")
