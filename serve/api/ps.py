"""GET /api/ps: the models in memory."""

import asyncio
import time
from typing import Any

from quart import Blueprint, Response

from modelkit.errors import ModelkitError
from modelkit.model import Model
from modelkit.names import ModelName
from modelkit.serve.api.codec import timestamp
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response
from modelkit.serve.scheduler import LoadedEntry
from modelkit.store import Store

blueprint = Blueprint("ps", __name__)

_LATEST = 292 * 365 * 24 * 3600.0
"""Seconds; what a model that stays for ever has left, since Go's durations end there."""


@blueprint.get("/api/ps")
async def ps() -> Response:
    """Every loaded model, the one that stays longest first."""
    entries = sorted(state().scheduler.loaded(), key=lambda entry: -entry.expires_at)
    models = [await asyncio.to_thread(_entry, state().store, entry) for entry in entries]
    return json_response({"models": models})


def _entry(store: Store, entry: LoadedEntry) -> dict[str, Any]:
    expires = min(entry.expires_at, time.time() + _LATEST)
    return {
        "name": entry.name,
        "model": entry.name,
        "size": entry.info.size_bytes,
        **_stored(store, entry.name),
        "expires_at": timestamp(int(expires * 1e9), local=True),
        "size_vram": 0,
        "context_length": entry.info.n_ctx,
    }


def _stored(store: Store, name: str) -> dict[str, Any]:
    """What the store says of the model, which may have been deleted since it was loaded."""
    try:
        model = Model.open(store, ModelName.parse(name))
    except ModelkitError:
        return {"digest": "", "details": {}}
    return {"digest": model.digest.hex, "details": model.details()}
