"""/, /api/version and /api/status: is it there, and what is it."""

from quart import Blueprint, Response

from modelkit.serve.api.stream import json_response
from modelkit.serve.remote.places import cloud_source, cloud_url
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
    """Whether models and services of Ollama's cloud can be used, and who forbids them."""
    off = {"disabled": cloud_url() is None, "source": cloud_source()}
    return json_response({"cloud": off})
