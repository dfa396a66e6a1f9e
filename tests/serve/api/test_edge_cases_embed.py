"""Edge cases 130 to 134: what can be embedded, and what vectors look like."""

import math

import pytest

from modelkit.serve.api.embed import unit_vectors
from modelkit.serve.api.errors import ApiError
from tests.serve.api.edges import Edge, Expected, Step, each, edge
from tests.serve.api.harness import Answer, Server

LONG = "word " * 1000
NOTHING = {"model": "minilm", "embeddings": []}


def embed(status: int, expected: Expected, **body: object) -> Step:
    return Step("POST /api/embed", {"model": "minilm"} | body, status, expected)


def has_two_of_unit_length(answer: Answer) -> bool:
    [vector] = answer.json["embeddings"]
    return len(vector) == 2 and math.isclose(math.hypot(*vector), 1, abs_tol=1e-6)


def has_all(answer: Answer) -> bool:
    return len(answer.json["embeddings"][0]) == 384


EDGES = [
    edge(
        130,
        embed(200, NOTHING, input=""),
        embed(200, NOTHING, input=[]),
        embed(200, NOTHING),
        embed(400, "invalid input type", input=5),
        embed(400, "invalid input type", input=["a", 1]),
    ),
    edge(
        131,
        embed(400, "the input length exceeds the context length", input=LONG, truncate=False),
    ),
    edge(
        132,
        embed(200, has_two_of_unit_length, input="sky", dimensions=2),
        embed(200, has_all, input="sky", dimensions=9999),
    ),
    edge(
        134,
        embed(404, 'model "x" not found, try pulling it first', model="x", input="a"),
        Step(
            "POST /api/embeddings",
            {"model": "minilm", "prompt": ""},
            expected='{"embedding":[]}',
        ),
    ),
]

NUMBERS = {row.number for row in EDGES} | {133}


@each(EDGES)
def test_texts_become_vectors_or_are_refused(shared: Server, row: Edge) -> None:
    row.play(shared)


def test_133_a_vector_is_scaled_unless_it_is_zero_or_no_number() -> None:
    with pytest.raises(ApiError, match="embedding contains NaN or Inf values"):
        unit_vectors([[math.nan, 1.0]])
    assert unit_vectors([[0.0, 0.0]]) == [[0.0, 0.0]]
