"""Edge cases 20 to 32: how answers end, streams, and the other endpoints under /v1."""

import base64
import math
import struct
from typing import Any

from modelkit.store import Store
from tests.serve.api.edges import Edge, Expected, Step, each, edge
from tests.serve.api.harness import Answer, Server, running
from tests.serve.openai.test_chat import events
from tests.serve.openai.test_tools import TOOLS

HI = [{"role": "user", "content": "Hi"}]
USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}


def ask(model: str, expected: Expected, status: int = 200, **body: Any) -> Step:
    request = {"model": model, "messages": HI} | body
    return Step("POST /v1/chat/completions", request, status, expected)


def complete(status: int, expected: Expected, **body: Any) -> Step:
    request = {"model": "tiny", "prompt": "Hi", "max_tokens": 3} | body
    return Step("POST /v1/completions", request, status, expected)


def embed(status: int, expected: Expected, **body: Any) -> Step:
    return Step("POST /v1/embeddings", {"model": "user/minilm"} | body, status, expected)


def ends(reason: str, calls: int) -> Expected:
    """A whole answer that called tools."""

    def same(answer: Answer) -> object:
        [choice] = answer.json["choices"]
        return choice["finish_reason"] == reason and len(choice["message"]["tool_calls"]) == calls

    return same


def has_a_role_once(answer: Answer) -> object:
    *chunks, done = events(answer)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert [index for index, delta in enumerate(deltas) if "role" in delta] == [0]
    return deltas[-1] == {} and done == "[DONE]"


def counts_once(answer: Answer) -> object:
    *chunks, last, _ = events(answer)
    return last["choices"] == [] and last["usage"]["total_tokens"] and not any(map(usage, chunks))


def counts_nothing(answer: Answer) -> object:
    return not any(map(usage, events(answer)[:-1]))


def counts_zero_and_then_all(answer: Answer) -> object:
    *chunks, last, _ = events(answer)
    assert all(usage(chunk)["total_tokens"] == 0 for chunk in chunks)
    return usage(last)["total_tokens"] > 3


def usage(chunk: dict[str, Any]) -> Any:
    return chunk.get("usage")


def is_split(answer: Answer) -> object:
    """A piece of thoughts and content is two chunks, of which the first has the logprobs."""
    chunks = events(answer)[:-1]
    choices = [chunk["choices"][0] for chunk in chunks]
    at = next(place for place, each in enumerate(choices) if "reasoning" in each["delta"])
    first, second = choices[at : at + 2]
    assert "content" not in first["delta"]
    assert "reasoning" not in second["delta"]
    assert ("logprobs" in first, "logprobs" in second) == (True, False)
    return len({chunk["created"] for chunk in chunks}) == 1


def is_empty(answer: Answer) -> object:
    found = [
        (chunk["choices"][0]["delta"], chunk["choices"][0]["finish_reason"])
        for chunk in events(answer)[:-1]
    ]
    return found == [({"role": "assistant", "content": ""}, None), ({}, "stop")]


def is_plain_json(answer: Answer) -> object:
    return answer.headers["content-type"].startswith("application/json")


def has_choices(number: int, reason: str) -> Expected:
    def same(answer: Answer) -> object:
        return [choice["finish_reason"] for choice in answer.json["choices"]] == [reason] * number

    return same


def vectors(number: int, length: int) -> Expected:
    """So many vectors of length one."""

    def same(answer: Answer) -> object:
        found = [item["embedding"] for item in answer.json["data"]]
        assert [len(vector) for vector in found] == [length] * number
        return all(math.isclose(math.hypot(*vector), 1, abs_tol=1e-5) for vector in found)

    return same


def is_packed(answer: Answer) -> object:
    packed = base64.b64decode(answer.json["data"][0]["embedding"])
    return math.isclose(math.hypot(*struct.unpack("<384f", packed)), 1, abs_tol=1e-5)


def owners(answer: Answer) -> object:
    found = {model["id"]: model["owned_by"] for model in answer.json["data"]}
    return (found["user/minilm:latest"], found["tiny:latest"]) == ("user", "library")


EDGES = [
    edge(
        20,
        ask("agent", ends("tool_calls", 2), tools=TOOLS),
        ask("agent", ends("length", 1), tools=TOOLS, max_tokens=7),
    ),
    edge(21, ask("tiny", has_a_role_once, stream=True, max_tokens=4)),
    edge(
        22,
        ask("tiny", counts_once, stream=True, max_tokens=4, **USAGE),
        ask("tiny", counts_nothing, stream=True, max_tokens=4),
    ),
    edge(23, ask("swift", is_split, stream=True, logprobs=True)),
    edge(24, ask("thinker", is_empty, stream=True, think=False, stop="Four")),
    edge(25, ask("nope", is_plain_json, 404, stream=True)),
    # A difference: several prompts are as many answers.
    edge(
        26,
        complete(200, has_choices(2, "length"), prompt=["Hi", "Ho"]),
        complete(200, has_choices(1, "load"), prompt=""),
    ),
    edge(27, complete(200, counts_zero_and_then_all, stream=True, **USAGE)),
    edge(
        28,
        embed(200, vectors(1, 384), input=""),
        embed(400, "invalid input", input=[]),
        embed(400, "invalid input type", input=[1, 2]),
        embed(200, is_packed, input="sky", encoding_format="BASE64"),
        embed(
            400,
            "Invalid value for 'encoding_format' = int8. Supported values: ['float', 'base64'].",
            input="sky",
            encoding_format="int8",
        ),
    ),
    edge(
        29,
        embed(200, vectors(1, 64), input="sky", dimensions=64),
        embed(200, vectors(1, 384), input="sky", dimensions=9999),
    ),
    edge(30, Step("GET /v1/models", expected=owners)),
    # A difference: names with slashes are found.
    edge(
        31,
        Step("GET /v1/models/user/minilm", expected={"id": "user/minilm", "owned_by": "user"}),
        Step(
            "GET /v1/models/nope",
            None,
            404,
            lambda answer: answer.json["error"]["type"] == "not_found_error",
        ),
    ),
    edge(
        32,
        Step("POST /v1/moderations", {}, 404, "404 page not found"),
        Step("GET /v1/chat/completions", None, 405),
    ),
]

NUMBERS = {row.number for row in EDGES}


@each(EDGES)
def test_an_answer_is_what_clients_of_openai_expect(server: Server, row: Edge) -> None:
    row.play(server)


def test_30_an_empty_store_lists_nothing(store: Store) -> None:
    # A difference: no models are an empty list, not null.
    with running(store) as server:
        Step("GET /v1/models", expected='{"object":"list","data":[]}').play(server)
