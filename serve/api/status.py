"""/, /api/version and /api/status: is it there, and what is it."""

from quart import Blueprint, Response

from modelkit.serve.api.stream import json_response
from modelkit.settings import flag
from modelkit.version import __version__

blueprint = Blueprint("status", __name__)

OLLAMA_VERSION = "0.22.0"
"""The release whose API this one speaks: clients switch features on by it."""


@blueprint.route("/", methods=["GET", "HEAD"])
async def root() -> Response:
    """The sentence that clients and health checks look for."""
    return Response("Ollama is running", content_type="text/plain; charset=utf-8")


@blueprint.route("/api/version", methods=["GET", "HEAD"])
async def version() -> Response:
    """The Ollama version this API is compatible with, and modelkit's own."""
    return json_response({"version": OLLAMA_VERSION, "modelkit": __version__})


@blueprint.get("/api/status")
async def status() -> Response:
    """Cloud models are not available, whether or not the environment forbids them."""
    source = "env" if flag("NO_CLOUD") else "none"
    return json_response({"cloud": {"disabled": True, "source": source}})
