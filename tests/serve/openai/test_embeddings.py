"""POST /v1/embeddings with OpenAI's client: floats and base64, dimensions, limits."""

import base64
import math
import struct
from typing import Any

import openai
import pytest

from tests.serve.api.harness import Answer, Server

MODEL = "user/minilm"


def post(server: Server, **body: Any) -> Answer:
    return server.post("/v1/embeddings", {"model": MODEL, "input": "sky"} | body)


def vector(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.json["data"][0]["embedding"]


def test_the_client_gets_vectors_in_order(client: openai.OpenAI) -> None:
    # The client asks for base64 unless it is told what to ask for.
    packed = client.embeddings.create(model=MODEL, input=["sky", "sea"])
    plain = client.embeddings.create(model=MODEL, input=["sky", "sea"], encoding_format="float")
    assert [item.index for item in plain.data] == [0, 1]
    for one, other in zip(packed.data, plain.data, strict=True):
        assert len(one.embedding) == 384
        assert one.embedding == pytest.approx(other.embedding, rel=1e-6)
        assert math.hypot(*one.embedding) == pytest.approx(1, rel=1e-5)
    assert plain.usage.prompt_tokens == plain.usage.total_tokens > 2
    assert (plain.object, plain.data[0].object, plain.model) == ("list", "embedding", MODEL)


def test_the_native_api_says_the_same(server: Server) -> None:
    native = server.post("/api/embed", {"model": MODEL, "input": "sky"}).json["embeddings"]
    assert vector(post(server)) == native[0]


def test_base64_is_little_endian_floats(server: Server) -> None:
    data = base64.b64decode(vector(post(server, encoding_format="BASE64")))
    assert struct.unpack("<384f", data) == pytest.approx(vector(post(server)), rel=1e-6)


def test_dimensions_cut_and_scale(server: Server) -> None:
    short, whole = vector(post(server, dimensions=64)), vector(post(server))
    assert len(short) == 64
    assert math.hypot(*short) == pytest.approx(1, rel=1e-5)
    assert short[0] / short[1] == pytest.approx(whole[0] / whole[1], rel=1e-4)
    assert vector(post(server, dimensions=10_000)) == whole


def test_an_empty_text_has_a_vector_too(server: Server) -> None:
    assert len(vector(post(server, input=""))) == 384


def test_a_text_that_is_too_long_is_cut_only_when_asked(server: Server) -> None:
    long = "word " * 600
    answer = post(server, input=["sky", long])
    assert answer.status == 400
    assert answer.json["error"]["code"] == "context_length_exceeded"
    assert len(vector(post(server, input=long, truncate=True))) == 384


def test_a_model_that_is_not_there(server: Server) -> None:
    answer = post(server, model="nope")
    assert answer.status == 404
    assert answer.json["error"]["message"] == 'model "nope" not found, try pulling it first'
