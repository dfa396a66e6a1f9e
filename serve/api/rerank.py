"""/v1/rerank, in the form of Jina's and Cohere's clients: which documents fit a query best."""

import math
from typing import Any

import msgspec
from quart import Blueprint, Response

from modelkit.serve.api.errors import ApiError, NameErrors
from modelkit.serve.api.pooled import PooledRequest
from modelkit.serve.api.reader import read
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response

blueprint = Blueprint("rerank", __name__)

_ERRORS = NameErrors(400, "model is required")


class RerankRequest(PooledRequest, kw_only=True):
    """`documents` are texts, or objects with a `text`; `top_n` None wants all of them."""

    query: str = ""
    documents: list[str | dict[str, Any]] = msgspec.field(default_factory=list)
    top_n: int | None = None
    return_documents: bool = False
    truncate: bool = True

    def texts(self) -> list[str]:
        """The documents' texts; raises ApiError 400."""
        if not self.query:
            raise ApiError(400, "query is required")
        if not self.documents:
            raise ApiError(400, "documents must be a list with at least one text")
        if self.top_n is not None and self.top_n < 1:
            raise ApiError(400, "top_n must be at least 1")
        return [_text(document, place) for place, document in enumerate(self.documents)]


class Ranked(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A document's place in the request and how well it fits, 0 to 1."""

    index: int
    relevance_score: float
    document: dict[str, str] | None = None


class RerankResponse(msgspec.Struct, kw_only=True):
    """The best documents, best first."""

    model: str
    object: str = "list"
    usage: dict[str, int]
    results: list[Ranked]


@blueprint.post("/v1/rerank")
@blueprint.post("/api/rerank")
async def rerank() -> Response:
    """Score every document against the query."""
    body = await read(RerankRequest)
    texts = body.texts()
    loading = await body.loading(_ERRORS)
    async with loading.lease(state().scheduler) as runner:
        scores = await runner.rerank(body.query, texts, truncate=body.truncate)
    results = [
        Ranked(
            index=place,
            relevance_score=relevance(row),
            document={"text": texts[place]} if body.return_documents else None,
        )
        for place, row in enumerate(scores.vectors)
    ]
    results.sort(key=lambda ranked: -ranked.relevance_score)
    usage = {"prompt_tokens": scores.prompt_tokens, "total_tokens": scores.prompt_tokens}
    return json_response(
        RerankResponse(model=body.model, usage=usage, results=results[: body.top_n])
    )


def relevance(scores: list[float]) -> float:
    """From what a model's head says to 0..1: one number is a logit, several are probabilities.

    Of several the first counts, as in llama.cpp's server (Qwen3's `yes` and `no`).
    """
    if not all(map(math.isfinite, scores)):
        raise ApiError(400, "the scores contain NaN or Inf values")
    if len(scores) > 1:
        return scores[0]
    return 0.5 * (1.0 + math.tanh(0.5 * scores[0]))


def _text(document: str | dict[str, Any], place: int) -> str:
    text = document if isinstance(document, str) else document.get("text")
    if not isinstance(text, str):
        raise ApiError(400, f"documents[{place}] must be a text, or an object with a text")
    return text
