"""/api/experimental/model-recommendations: models worth a try."""

import asyncio
from typing import Any

from quart import Blueprint, Response

from modelkit.serve.api.stream import json_response
from modelkit.serve.remote.places import cloud_url

blueprint = Blueprint("recommendations", __name__)

_CLOUD_MODELS: tuple[dict[str, Any], ...] = (
    {
        "model": "kimi-k2.6:cloud",
        "description": "Long tasks of coding and agents",
        "context_length": 262144,
        "max_output_tokens": 262144,
    },
    {
        "model": "glm-5.1:cloud",
        "description": "Reasoning and code",
        "context_length": 202752,
        "max_output_tokens": 131072,
    },
    {
        "model": "qwen3.5:cloud",
        "description": "Reasoning, code and images",
        "context_length": 262144,
        "max_output_tokens": 32768,
    },
    {
        "model": "minimax-m2.7:cloud",
        "description": "Code and tools",
        "context_length": 204800,
        "max_output_tokens": 128000,
    },
)
_LOCAL_MODELS: tuple[dict[str, Any], ...] = (
    {
        "model": "gemma4",
        "description": "Reasoning, code and images on one GPU",
        "vram_bytes": 12 * 10**9,
    },
    {
        "model": "qwen3.5",
        "description": "Reasoning, code and images on one GPU",
        "vram_bytes": 14 * 10**9,
    },
)


@blueprint.get("/api/experimental/model-recommendations")
async def recommendations() -> Response:
    """Models worth a try; those of the cloud only where it is on."""
    cloud = await asyncio.to_thread(cloud_url)
    models = (*_CLOUD_MODELS, *_LOCAL_MODELS) if cloud else _LOCAL_MODELS
    return json_response({"recommendations": models})
