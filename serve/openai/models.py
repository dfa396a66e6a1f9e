"""GET /v1/models and /v1/models/{model}: the models in the store."""

import asyncio
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from quart import Response

from modelkit.errors import ModelNotFound
from modelkit.names import ModelName
from modelkit.serve.api.errors import ApiError
from modelkit.serve.api.names import cloud_name, target
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response
from modelkit.serve.openai.errors import NAMES, openai_blueprint
from modelkit.serve.remote.passing import pass_on
from modelkit.serve.remote.places import require_cloud
from modelkit.store import Store

blueprint = openai_blueprint("models")


@blueprint.get("/v1/models")
async def models() -> Response:
    """Every model, the newest first."""
    found = await asyncio.to_thread(_models, state().store)
    return json_response({"object": "list", "data": found})


@blueprint.get("/v1/models/<path:model>")
async def model(model: str) -> Response:
    """One model; its name may have slashes. One of the cloud is looked up there."""
    if base := await asyncio.to_thread(cloud_name, state().store, model):
        url = require_cloud("remote model details", "are")
        return await pass_on(f"{url}/v1/models/{quote(base, safe=':')}")
    name = target(model, NAMES)
    try:
        modified = await asyncio.to_thread(state().store.modified_at, name)
    except ModelNotFound:
        raise ApiError(404, NAMES.missing.format(raw=model)) from None
    return json_response(_line(model, name, modified))


def _models(store: Store) -> list[dict[str, Any]]:
    dated = []
    for name in store.names():
        # One that was deleted since is not there any more.
        with suppress(ModelNotFound):
            dated.append((store.modified_at(name), name))
    dated.sort(key=lambda item: -int(item[0]))
    return [_line(name.short, name, modified) for modified, name in dated]


def _line(shown: str, name: ModelName, modified: float) -> dict[str, Any]:
    return {
        "id": shown,
        "object": "model",
        "created": int(modified),
        "owned_by": name.namespace,
    }
