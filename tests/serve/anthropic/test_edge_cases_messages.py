"""Edge cases 42 to 48: messages of Anthropic's API, what is refused, and how answers end."""

import json
import re
from typing import Any

import pytest

from tests.serve.anthropic.test_messages import TOOLS
from tests.serve.anthropic.test_requests import USE, chat, image, result, said, text, turn
from tests.serve.api.edges import Edge, Expected, Step, each, edge
from tests.serve.api.harness import Answer, Server

HI = [{"role": "user", "content": "Hi"}]


def ask(model: str, status: int = 200, expected: Expected = None, **body: Any) -> Step:
    request = {"model": model, "max_tokens": 50, "messages": HI} | body
    return Step("POST /v1/messages", request, status, expected)


def says(content: object, expected: str) -> Step:
    return ask("teller", 400, expected, messages=[{"role": "user", "content": [content]}])


def has_an_id(answer: Answer) -> object:
    return re.fullmatch("req_[0-9a-f]{24}", answer.json["request_id"]) is not None


def is_unknown(answer: Answer) -> object:
    return answer.json["error"]["type"] == "not_found_error"


def calls_after_thoughts(answer: Answer) -> object:
    """Thoughts end before a call begins, and the call is why the message ends."""
    datas = re.findall("^data: (.*)$", answer.body.decode(), re.MULTILINE)
    events = [json.loads(data) for data in datas]
    open_block, kinds = None, []
    for event in events:
        if event["type"] == "content_block_start":
            assert open_block is None
            open_block = event["index"]
            kinds.append(event["content_block"]["type"])
        if event["type"] == "content_block_stop":
            assert event["index"] == open_block
            open_block = None
    assert kinds == ["thinking", "text", "tool_use", "tool_use"]
    [end] = [event for event in events if event["type"] == "message_delta"]
    return end["delta"]["stop_reason"] == "tool_use"


def kinds(*wanted: str) -> Expected:
    return lambda answer: [block["type"] for block in answer.json["content"]] == list(wanted)


EDGES = [
    edge(
        42,
        ask("teller", 400, "max_tokens is required and must be positive", max_tokens=0),
        ask("", 400, "model is required"),
        ask("", 400, has_an_id),
    ),
    edge(
        44,
        says({**USE, "id": ""}, "tool_use block missing required 'id' field"),
        says(
            image(type="url", url="https://example.com/a.png"),
            "invalid image source type: url. Only base64 images are supported.",
        ),
    ),
    edge(45, ask("teller", 200, kinds("text"), thinking={"type": "enabled"})),
    edge(47, ask("agent", 200, calls_after_thoughts, stream=True, tools=TOOLS)),
    edge(
        48,
        ask("teller", 200, {"stop_reason": "max_tokens"}, max_tokens=2),
        ask("nope", 404, "model 'nope' not found"),
        ask("nope", 404, is_unknown),
    ),
]

THOUGHTS: list[tuple[int, str, str, object]] = [
    (46, "disabled", "high", False),
    (46, "adaptive", "xhigh", "high"),
]

NUMBERS = {row.number for row in EDGES} | {46, 43}


@each(EDGES)
def test_a_message_is_answered_or_refused(server: Server, row: Edge) -> None:
    row.play(server)


@pytest.mark.parametrize(("number", "kind", "effort", "think"), THOUGHTS)
def test_what_is_said_of_thinking_wins_over_effort(
    number: int, kind: str, effort: str, think: object
) -> None:
    assert chat(thinking={"type": kind}, output_config={"effort": effort}).think == think


def test_43_the_results_of_tools_come_before_what_the_user_says() -> None:
    messages = said(turn("user", result(content="42"), text("well?")))
    assert [message["role"] for message in messages] == ["tool", "user"]
