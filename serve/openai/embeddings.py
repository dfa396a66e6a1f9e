"""POST /v1/embeddings."""

import asyncio
import base64
from typing import Any

import numpy as np
from quart import Response

from modelkit.serve.api.embed import unit_vectors
from modelkit.serve.api.errors import NameErrors
from modelkit.serve.api.pooled import pooled_loading
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response
from modelkit.serve.openai.body import ModelBody
from modelkit.serve.openai.errors import FieldError, openai_blueprint
from modelkit.serve.openai.reader import read
from modelkit.serve.remote.passing import cloud_first

blueprint = openai_blueprint("embeddings")

_NAMES = NameErrors(
    400, "model is required", missing='model "{raw}" not found, try pulling it first'
)


class EmbeddingBody(ModelBody, forbid_unknown_fields=True, kw_only=True):
    """Every field of OpenAI's."""

    input: Any = None
    dimensions: int | None = None
    encoding_format: str | None = None

    def inputs(self) -> list[str]:
        """The texts; raises FieldError. Token ids of OpenAI's models mean nothing to others."""
        if self.input is None or self.input == []:
            raise FieldError("input", "invalid input", "invalid_value")
        if isinstance(self.input, str):
            return [self.input]
        if isinstance(self.input, list) and all(isinstance(item, str) for item in self.input):
            return self.input
        raise FieldError("input", "invalid input type", "invalid_type")

    def length(self) -> int:
        """How many numbers a vector may have, 0 for all; raises FieldError."""
        if self.dimensions is None:
            return 0
        if self.dimensions < 1:
            raise FieldError("dimensions", "'dimensions' must be at least 1", "invalid_value")
        return self.dimensions

    def in_base64(self) -> bool:
        """Whether vectors are to be bytes in base64; raises FieldError."""
        form = (self.encoding_format or "float").lower()
        if form not in ("float", "base64"):
            text = (
                f"Invalid value for 'encoding_format' = {self.encoding_format}. "
                "Supported values: ['float', 'base64']."
            )
            raise FieldError("encoding_format", text, "invalid_value")
        return form == "base64"


@blueprint.post("/v1/embeddings")
@cloud_first
async def embeddings() -> Response:
    """Embed one or many texts."""
    body = await read(EmbeddingBody)
    inputs, length, packed = body.inputs(), body.length(), body.in_base64()
    loading = await pooled_loading(body.name, _NAMES, body.options, body.seconds_to_live())
    async with loading.lease(state().scheduler) as runner:
        result = await runner.embed(inputs, truncate=bool(body.truncate))
    vectors = await asyncio.to_thread(unit_vectors, result.vectors, length)
    data = [
        {"object": "embedding", "embedding": _packed(vector) if packed else vector, "index": index}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": result.prompt_tokens, "total_tokens": result.prompt_tokens}
    return json_response({"object": "list", "data": data, "model": body.name, "usage": usage})


def _packed(vector: list[float]) -> str:
    """The numbers as little-endian float32 in base64."""
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()
