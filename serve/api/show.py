"""POST /api/show: everything a model's layers and its GGUF file say."""

import asyncio
from typing import Any

import msgspec
from quart import Blueprint, Response, request

from modelkit import gojson
from modelkit.errors import BlobNotFound, ModelNotFound
from modelkit.model import Model
from modelkit.model.description import describe, modelfile
from modelkit.serve.api.codec import timestamp
from modelkit.serve.api.errors import ApiError, NameErrors
from modelkit.serve.api.models import NamedRequest
from modelkit.serve.api.names import target
from modelkit.serve.api.reader import read
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import JSON
from modelkit.serve.remote.places import cloud_source, require_cloud

blueprint = Blueprint("show", __name__)

_ERRORS = NameErrors(400, "model is required")


class ShowRequest(NamedRequest, kw_only=True):
    """The body of /api/show; `system` and `options` replace the model's own in the answer."""

    verbose: bool = False
    system: str = ""
    options: dict[str, Any] = msgspec.field(default_factory=dict)


@blueprint.post("/api/show")
async def show() -> Response:
    """One model in full; `verbose` adds the arrays of the GGUF header."""
    body = await read(ShowRequest)
    name = target(body.asked, _ERRORS)
    try:
        model = await asyncio.to_thread(Model.open, state().store, name)
        answer = await asyncio.to_thread(_describe, model, body)
    except (ModelNotFound, BlobNotFound):
        raise ApiError(404, f"model '{name.short}' not found") from None
    if request.headers.get("User-Agent", "").startswith("GitHubCopilotChat/"):
        answer["model_info"]["general.basename"] = body.asked
    return Response(gojson.dumps(answer), content_type=JSON)


def _describe(model: Model, body: ShowRequest) -> dict[str, Any]:
    if model.config.remote_host and cloud_source() != "none":
        require_cloud("remote model details", verb="are")
    answer = describe(model, verbose=body.verbose)
    if body.system:
        answer["system"] = body.system
    if body.options:
        answer["modelfile"] = modelfile(model, body.options)
    requires = answer.pop("requires", None)
    modified = int(model.store.modified_at(model.name) * 1e9)
    answer["modified_at"] = timestamp(modified, local=True)
    return answer if requires is None else {**answer, "requires": requires}
