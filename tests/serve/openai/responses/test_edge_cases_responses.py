"""Edge cases 33 to 40: what responses are made from, and their streams."""

import json
import re
from typing import Any

import pytest
import zstandard

from tests.serve.api.edges import Edge, Expected, Step, each, edge
from tests.serve.api.harness import Answer, Server
from tests.serve.openai.responses.test_answers import frames
from tests.serve.openai.responses.test_items import (
    CALL,
    OUTPUT,
    REASONING,
    assistant,
    called,
    result,
    understood,
)
from tests.serve.openai.responses.test_refusals import ADD, names

FORM = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}


def respond(status: int, expected: Expected = None, **body: Any) -> Step:
    return Step("POST /v1/responses", {"model": "agent"} | body, status, expected)


def packed(body: dict[str, Any], status: int, expected: Expected) -> Step:
    data = zstandard.compress(json.dumps({"model": "agent"} | body).encode())
    headers = {"Content-Encoding": "zstd"}
    return Step("POST /v1/responses", data, status, expected, headers)


def text_is(pattern: str) -> Expected:
    """The whole text of a response."""

    def same(answer: Answer) -> object:
        text = answer.json["output"][-1]["content"][0]["text"]
        return re.fullmatch(pattern, text, re.DOTALL) is not None

    return same


def is_loaded(answer: Answer) -> object:
    return answer.json["status"] == "completed" and answer.json["usage"]["total_tokens"] == 0


def is_framed(answer: Answer) -> object:
    # `frames` sees to it that the numbers of the events have no gaps.
    kinds = [event["type"] for event in frames(answer)]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    return kinds[-1] == "response.completed" and b"[DONE]" not in answer.body


def formed(expected: Expected, **form: Any) -> Step:
    body = {"model": "tiny", "input": "Hi", "max_output_tokens": 40, "temperature": 0}
    return respond(200, expected, **body, text={"format": form})


def part(kind: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": kind}]}]


EDGES = [
    edge(
        33,
        respond(200, text_is("Hello there!"), input="<hello>", temperature=0),
        respond(200, is_loaded),
        respond(400, "input[0]: input item missing required 'type' field", input=[{}]),
    ),
    edge(
        36,
        respond(
            400,
            "input[0]: content[0]: file inputs are not currently supported",
            input=part("input_file"),
        ),
        respond(
            400,
            "input[0]: failed to parse function call arguments: not a JSON object",
            input=[{**CALL, "arguments": "{"}],
        ),
        respond(200, input=[{**CALL, "arguments": ""}, OUTPUT]),
    ),
    edge(38, respond(200, is_framed, input="<hello>", temperature=0, stream=True)),
    # A difference: a JSON object that is asked for is one.
    edge(
        39,
        formed(text_is(r"\s*\{.*"), type="json_object"),
        formed(text_is(r'\s*\{\s*"a"\s*:\s*1\s*\}\s*'), type="json_schema", name="x", schema=FORM),
    ),
    edge(
        40,
        packed({"input": "<hello>", "temperature": 0}, 200, text_is("Hello there!")),
        packed(
            {"input": " " * (20 << 20)},
            400,
            "the decompressed request body is larger than 20971520 bytes",
        ),
    ),
]

CONVERSATIONS: list[tuple[int, list[dict[str, Any]], list[dict[str, Any]]]] = [
    (34, [REASONING, CALL], [assistant("", thinking="Hm.", tool_calls=[called()])]),
    (
        35,
        [CALL, assistant("So."), OUTPUT],
        [assistant("So.", tool_calls=[called()]), result("3")],
    ),
]

NUMBERS = {row.number for row in EDGES} | {number for number, _, _ in CONVERSATIONS} | {37}


@each(EDGES)
def test_a_response_is_made_or_refused(server: Server, row: Edge) -> None:
    row.play(server)


@pytest.mark.parametrize(("number", "items", "messages"), CONVERSATIONS)
def test_items_join_into_messages(
    number: int, items: list[dict[str, Any]], messages: list[dict[str, Any]]
) -> None:
    assert understood(items) == messages


def test_37_the_members_of_a_namespace_are_named_after_it_once() -> None:
    members = [ADD, {**ADD, "name": "ns.sub"}]
    assert names([{"type": "namespace", "name": "ns", "tools": members}]) == ["ns.add", "ns.sub"]
