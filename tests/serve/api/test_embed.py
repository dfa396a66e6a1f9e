"""/api/embed and /api/embeddings."""

import math
from typing import Any

import ollama
import pytest

from modelkit.serve.api.embed import unit_vectors
from modelkit.serve.api.errors import ApiError
from tests.serve.api.harness import Server

SKY = "Why is the sky blue?"
# What Ollama's documentation prints for this text and model.
DOCUMENTED = (
    0.010071029, -0.0017594862, 0.05007221, 0.04692972, 0.054916814,
    0.008599704, 0.105441414, -0.025878139, 0.12958129, 0.031952348,
)  # fmt: skip


def norm(vector: list[float]) -> float:
    return math.sqrt(sum(number * number for number in vector))


def embed(server: Server, text: Any, **body: Any) -> Any:
    answer = server.post("/api/embed", {"model": "minilm", "input": text} | body)
    assert answer.status == 200, answer.body
    return answer.json


def test_the_numbers_are_the_documented_ones(client: ollama.Client) -> None:
    answer = client.embed("minilm", SKY)
    assert answer.prompt_eval_count == 8
    assert answer.embeddings[0][:10] == pytest.approx(DOCUMENTED, abs=5e-5)
    assert len(answer.embeddings[0]) == 384
    assert norm(list(answer.embeddings[0])) == pytest.approx(1, abs=1e-6)


def test_the_fields_are_in_order(shared: Server) -> None:
    assert list(embed(shared, SKY)) == [
        "model",
        "embeddings",
        "total_duration",
        "load_duration",
        "prompt_eval_count",
    ]


def test_many_texts_keep_their_order(shared: Server) -> None:
    texts = [f"number {n}" for n in range(20)]
    together = embed(shared, texts)
    assert together["prompt_eval_count"] == 20 * 4
    for text, vector in zip(texts[::7], together["embeddings"][::7], strict=True):
        alone = embed(shared, text)["embeddings"][0]
        assert sum(a * b for a, b in zip(alone, vector, strict=True)) > 0.9999


@pytest.mark.parametrize("body", [{}, {"input": None}, {"input": ""}, {"input": []}])
def test_nothing_to_embed_loads_the_model(shared: Server, body: dict[str, Any]) -> None:
    answer = shared.post("/api/embed", {"model": "minilm"} | body)
    assert (answer.status, answer.json) == (200, {"model": "minilm", "embeddings": []})


@pytest.mark.parametrize("text", [5, True, {"a": 1}, ["a", 1], [None]])
@pytest.mark.parametrize("model", ["minilm", "nope"])
def test_input_that_is_no_text_is_refused(shared: Server, text: object, model: str) -> None:
    answer = shared.post("/api/embed", {"model": model, "input": text})
    assert (answer.status, answer.error) == (400, "invalid input type")


def test_a_long_text_is_cut_or_refused(shared: Server) -> None:
    long = "word " * 1000
    assert embed(shared, long)["prompt_eval_count"] <= 512
    for body in ({"input": long}, {"input": ["short", long]}):
        answer = shared.post("/api/embed", {"model": "minilm", "truncate": False} | body)
        assert (answer.status, answer.error) == (
            400,
            "the input length exceeds the context length",
        )


def test_dimensions_cut_and_scale_again(shared: Server) -> None:
    whole = embed(shared, SKY)["embeddings"][0]
    short = embed(shared, SKY, dimensions=2)["embeddings"][0]
    assert len(short) == 2
    assert norm(short) == pytest.approx(1, abs=1e-6)
    assert short[0] / short[1] == pytest.approx(whole[0] / whole[1], rel=1e-4)
    for ignored in (9999, 384, 0, -1):
        assert embed(shared, SKY, dimensions=ignored)["embeddings"][0] == whole


def test_a_generating_model_can_embed_too(shared: Server) -> None:
    vector = embed(shared, SKY, model="tiny")["embeddings"][0]
    assert len(vector) == 256
    assert norm(vector) == pytest.approx(1, abs=1e-6)


def test_the_older_endpoint_gives_one_vector(shared: Server, client: ollama.Client) -> None:
    old = client.embeddings("minilm", SKY).embedding
    assert list(old) == embed(shared, SKY)["embeddings"][0]
    answer = shared.post("/api/embeddings", {"model": "minilm", "prompt": ""})
    assert answer.body == b'{"embedding":[]}'


def test_the_older_endpoint_never_cuts(shared: Server) -> None:
    answer = shared.post("/api/embeddings", {"model": "minilm", "prompt": "word " * 1000})
    assert (answer.status, answer.error) == (500, "the input length exceeds the context length")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_vector_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ApiError, match="embedding contains NaN or Inf values"):
        unit_vectors([[1.0, bad]])


def test_vectors_are_scaled_and_zero_stays_zero() -> None:
    assert unit_vectors([[3.0, 4.0], [0.0, 0.0]]) == [[0.6, 0.8], [0.0, 0.0]]


def test_numbers_are_the_shortest_that_name_the_float32() -> None:
    assert str(unit_vectors([[0.1, math.sqrt(0.99)]])[0][0]) == "0.1"
