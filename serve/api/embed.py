"""/api/embed and the older /api/embeddings: texts to vectors."""

import asyncio
import time
from typing import Any

import msgspec
import numpy as np
from quart import Blueprint, Response

from modelkit.errors import ModelkitError
from modelkit.model import Model
from modelkit.serve.api.errors import ApiError, NameErrors
from modelkit.serve.api.pooled import PooledRequest
from modelkit.serve.api.reader import read
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response
from modelkit.serve.decimals import shortest

blueprint = Blueprint("embed", __name__)

_MISSING = 'model "{raw}" not found, try pulling it first'
_EMBED = NameErrors(404, "model '' not found", missing=_MISSING)
_EMBEDDINGS = NameErrors(400, "model is required", missing=_MISSING)


class EmbedRequest(PooledRequest, kw_only=True):
    """The body of /api/embed."""

    input: Any = None
    truncate: bool = True
    dimensions: int = 0


class EmbeddingRequest(PooledRequest, kw_only=True):
    """The body of /api/embeddings."""

    prompt: str = ""


class EmbedResponse(msgspec.Struct, omit_defaults=True, kw_only=True):
    """float32 vectors of unit length in the order of the inputs; durations in nanoseconds."""

    model: str
    embeddings: list[list[float]]
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0


@blueprint.post("/api/embed")
async def embed() -> Response:
    """Embed one or many texts; with none only load the model."""
    started = time.monotonic_ns()
    body = await read(EmbedRequest)
    body.seconds_to_live()
    inputs = _inputs(body.input)
    loading = await body.loading(_EMBED)
    if not inputs:
        await loading.load(state().scheduler)
        return json_response(EmbedResponse(model=body.model, embeddings=[]))
    async with loading.lease(state().scheduler) as runner:
        load_duration = time.monotonic_ns() - started
        result = await runner.embed(inputs, truncate=body.truncate)
    vectors = await asyncio.to_thread(unit_vectors, result.vectors, body.dimensions)
    return json_response(
        EmbedResponse(
            model=body.model,
            embeddings=vectors,
            total_duration=time.monotonic_ns() - started,
            load_duration=load_duration,
            prompt_eval_count=result.prompt_tokens,
        )
    )


@blueprint.post("/api/embeddings")
async def embeddings() -> Response:
    """Embed one text, never truncated."""
    body = await read(EmbeddingRequest)
    loading = await body.loading(_EMBEDDINGS)
    if not body.prompt:
        await loading.load(state().scheduler)
        return json_response({"embedding": []})
    async with loading.lease(state().scheduler) as runner:
        try:
            result = await runner.embed([body.prompt], truncate=False)
        except ModelkitError as error:
            raise ApiError(500, error.message, error.hint) from error
    if _is_raw(loading.model):
        return json_response({"embedding": result.vectors[0]})
    return json_response({"embedding": unit_vectors(result.vectors)[0]})


def unit_vectors(vectors: list[list[float]], dimensions: int = 0) -> list[list[float]]:
    """Each vector scaled to length 1, cut to `dimensions` if that is fewer than it has.

    A zero vector stays zero. Raises ApiError 400 for NaN and infinities. The numbers are the
    shortest decimals that name the float32 values.
    """
    matrix = np.asarray(vectors, dtype=np.float64)
    if not np.isfinite(matrix).all():
        raise ApiError(400, "embedding contains NaN or Inf values")
    matrix = _scaled(matrix)
    if 0 < dimensions < matrix.shape[1]:
        matrix = _scaled(matrix[:, :dimensions])
    numbers: list[list[float]] = shortest(matrix.astype(np.float32)).tolist()
    return numbers


def _scaled(matrix: "np.ndarray[Any, np.dtype[np.float64]]") -> Any:
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)


def _inputs(value: object) -> list[str]:
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise ApiError(400, "invalid input type")


def _is_raw(model: Model) -> bool:
    """Whether llama.cpp's server leaves this model's vectors as they are."""
    metadata, architecture = model.header.metadata, model.header.architecture
    if architecture.startswith("nomic-bert"):
        return True
    if metadata.get(f"{architecture}.normalize_embeddings") is False:
        return True
    return architecture == "bert" and metadata.get("tokenizer.ggml.model") != "bert"
