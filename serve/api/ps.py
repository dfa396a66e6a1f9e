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
from modelkit.serve.scheduling.failures import Failure
from modelkit.serve.scheduling.scheduler import LoadedEntry
from modelkit.store import Store

blueprint = Blueprint("ps", __name__)

_LATEST = 292 * 365 * 24 * 3600.0
"""Seconds; what a model that stays for ever has left, since Go's durations end there."""


@blueprint.get("/api/ps")
async def ps() -> Response:
    """Every loaded model, the one that stays longest first; and why runners died, latest first."""
    entries = sorted(state().scheduler.loaded(), key=lambda entry: -entry.expires_at)
    models = [await asyncio.to_thread(_entry, state().store, entry) for entry in entries]
    body: dict[str, Any] = {"models": models}
    if failures := state().scheduler.failures():
        body["failures"] = [_failure(failure) for failure in reversed(failures)]
    return json_response(body)


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


def _failure(failure: Failure) -> dict[str, Any]:
    """Why a model's runner died, how often since its last answer, and when it may start again."""
    entry: dict[str, Any] = {
        "name": failure.name,
        "error": failure.reason,
        "deaths": failure.deaths,
        "died_at": timestamp(int(failure.died_at * 1e9), local=True),
    }
    if failure.retry_at > time.time():
        entry["retry_at"] = timestamp(int(failure.retry_at * 1e9), local=True)
    return entry


def _stored(store: Store, name: str) -> dict[str, Any]:
    """What the store says of the model, which may have been deleted since it was loaded."""
    try:
        model = Model.open(store, ModelName.parse(name))
    except ModelkitError:
        return {"digest": "", "details": {}}
    return {"digest": model.digest.hex, "details": model.details()}
