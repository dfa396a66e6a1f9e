"""/api/tags, /api/copy and /api/delete: the models in the store."""

import asyncio
import logging
from typing import Any

import msgspec
from quart import Blueprint, Response

from modelkit.errors import InvalidName, ModelkitError, ModelNotFound
from modelkit.model import Model
from modelkit.names import ModelName
from modelkit.serve.api.codec import timestamp
from modelkit.serve.api.errors import ApiError, NameErrors
from modelkit.serve.api.names import target
from modelkit.serve.api.reader import read
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response
from modelkit.store import Store

_log = logging.getLogger(__name__)

blueprint = Blueprint("models", __name__)

_DELETE = NameErrors(400, "model is required", invalid='name "{raw}" is invalid')


class NamedRequest(msgspec.Struct, kw_only=True):
    """A body that names a model; `name` is the older spelling of `model`."""

    model: str = ""
    name: str = ""

    @property
    def asked(self) -> str:
        """The name as the request wrote it."""
        return self.model or self.name


class CopyRequest(msgspec.Struct, kw_only=True):
    """The body of /api/copy."""

    source: str = ""
    destination: str = ""


@blueprint.route("/api/tags", methods=["GET", "HEAD"])
async def tags() -> Response:
    """Every model, the newest first; one that cannot be read is left out."""
    return json_response({"models": await asyncio.to_thread(_tags, state().store)})


@blueprint.post("/api/copy")
async def copy() -> Response:
    """Give a model a second name."""
    body = await read(CopyRequest)
    source = _parse("source", body.source)
    destination = _parse("destination", body.destination)
    try:
        await asyncio.to_thread(state().store.copy, source, destination)
    except ModelNotFound:
        raise ApiError(404, f'model "{body.source}" not found') from None
    return Response(status=200)


@blueprint.delete("/api/delete")
async def delete() -> Response:
    """Forget a model and what only it uses."""
    body = await read(NamedRequest)
    name = target(body.asked, _DELETE)
    try:
        await asyncio.to_thread(state().store.delete, name)
    except ModelNotFound:
        raise ApiError(404, f"model '{body.asked}' not found") from None
    return Response(status=200)


def _tags(store: Store) -> list[dict[str, Any]]:
    found = []
    for name in store.names():
        try:
            found.append((store.modified_at(name), _tag(store, name)))
        except ModelkitError as error:
            _log.warning("leaving %s out of the list: %s", name, error)
    found.sort(key=lambda item: -int(item[0]))
    return [tag for _, tag in found]


def _tag(store: Store, name: ModelName) -> dict[str, Any]:
    model = Model.open(store, name)
    remote = {"remote_model": model.config.remote_model, "remote_host": model.config.remote_host}
    tag: dict[str, Any] = {
        "name": name.short,
        "model": name.short,
        **{key: value for key, value in remote.items() if value},
        "modified_at": timestamp(int(store.modified_at(name) * 1e9), local=True),
        "size": model.size,
        "digest": model.digest.hex,
        "details": model.details(lengths=True),
    }
    if capabilities := model.capabilities():
        tag["capabilities"] = capabilities
    return tag


def _parse(what: str, text: str) -> ModelName:
    try:
        return ModelName.parse(text)
    except InvalidName:
        raise ApiError(400, f'{what} "{text}" is invalid') from None
