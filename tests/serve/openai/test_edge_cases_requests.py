"""Edge cases 1 to 19: what a conversation may hold and ask for, and what is refused."""

from typing import Any

import pytest

from modelkit.serve.openai.chat import ChatBody
from modelkit.serve.openai.reader import convert
from modelkit.serve.types import Grammar
from tests.serve.api.edges import Edge, Expected, Step, each, edge, prompt
from tests.serve.api.harness import Answer, Server
from tests.serve.openai.test_messages import PIXEL, PNG

HI = [{"role": "user", "content": "Hi"}]
BLIND = '"tiny" does not support images'
TOOL = {"type": "function", "function": {"name": "add"}}


def ask(status: int = 200, expected: Expected = None, **body: Any) -> Step:
    request = {"model": "tiny", "messages": HI, "max_tokens": 1} | body
    return Step("POST /v1/chat/completions", request, status, expected)


def content(value: object, expected: Expected, status: int = 400) -> Step:
    """A message of the user that holds `value`."""
    return ask(status, expected, messages=[{"role": "user", "content": value}])


def image(url: object, expected: str) -> Step:
    return content([{"type": "image_url", "image_url": url}], expected)


def call(arguments: str, name: str = "add", **message: Any) -> dict[str, Any]:
    """What an assistant said that called a tool."""
    function = {"name": name, "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": "c", "function": function}]} | message


def rendered(text: str, *messages: dict[str, Any]) -> Step:
    body = {"model": "caller", "messages": messages, "_debug_render_only": True}
    return ask(200, prompt(text), **body)


def answer_is(text: str) -> Expected:
    return lambda answer: answer.json["choices"][0]["message"]["content"] == text


def has_logprobs(answer: Answer) -> object:
    [item] = answer.json["choices"][0]["logprobs"]["content"]
    return item["logprob"] <= 0 and bytes(item["bytes"]).decode() == item["token"]


QUIET: dict[str, Any] = {"model": "thinker", "think": False, "max_tokens": 50}
TOLD = {"role": "tool", "tool_call_id": "c", "content": "3"}
ADD = '<tool_call>{"name": "add", "arguments": {}}</tool_call><ask>'
SUB = ADD.replace("add", "sub")
LEVELS = '(must be "minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none")'

EDGES = [
    edge(1, Step("POST /v1/chat/completions", b"", 400, "EOF")),
    edge(2, ask(400, "[] is too short - 'messages'", messages=None)),
    edge(3, content(2, "invalid message content type: float64")),
    edge(4, content(None, "invalid message content type: <nil>")),
    edge(5, rendered(ADD, call("{}", content=None))),
    edge(6, content([{"type": "video"}], "invalid message format")),
    edge(7, image(PNG, BLIND), image({"url": PNG}, BLIND)),
    edge(
        8,
        image(
            "https://example.com/a.png",
            "image URLs are not currently supported, please use base64 encoded data instead",
        ),
        image("data:image/gif;base64,AAAA", "invalid image input"),
    ),
    edge(9, image(f"data:;base64,{PIXEL}", BLIND)),
    edge(
        10,
        ask(400, "invalid tool call arguments", messages=[call("{")]),
        ask(400, "invalid tool call arguments", messages=[call("")]),
    ),
    edge(
        11,
        rendered(ADD + "add: 3 <answer>", call("{}"), TOLD),
        rendered(
            f"{ADD}add: 3 <answer>{SUB}sub: 3 <answer>",
            *(call("{}"), TOLD, call("{}", "sub"), TOLD),
        ),
    ),
    # A difference: what is no string is refused, not dropped.
    edge(
        12,
        ask(200, answer_is("Four"), stop=", I", **QUIET),
        ask(200, answer_is("Four"), stop=["zzz", ", I"], **QUIET),
        ask(400, stop=["x", 1, "y"]),
        Step("POST /v1/completions", {"model": "tiny", "prompt": "Hi", "stop": ["x", 1]}, 400),
    ),
    # A difference: a schema that is missing is missed.
    edge(14, ask(400, response_format={"type": "json_schema", "json_schema": {"name": "x"}})),
    edge(16, ask(400, f'invalid reasoning value: "LOW" {LEVELS}', reasoning_effort="LOW")),
    edge(
        17,
        ask(400, '"plain" does not support thinking', model="plain", reasoning_effort="high"),
        ask(200, model="plain", reasoning_effort="none"),
    ),
    edge(
        18,
        ask(400, "top_logprobs must be between 0 and 20", logprobs=True, top_logprobs=21),
        ask(200, has_logprobs, logprobs=True),
    ),
    edge(
        19,
        ask(
            400,
            "registry.ollama.ai/library/plain:latest does not support tools",
            model="plain",
            tools=[TOOL],
        ),
    ),
]

MEANINGS: list[tuple[int, dict[str, Any], dict[str, Any]]] = [
    (13, {}, {"options": {"temperature": 1.0, "top_p": 1.0}}),
    (13, {"temperature": 0}, {"options": {"temperature": 0.0, "top_p": 1.0}}),
    (14, {"response_format": {"type": " JSON_Object "}}, {"grammar": Grammar("json")}),
    (14, {"response_format": {"type": "text"}}, {"grammar": None}),
    # A difference: this limit is as good as max_tokens.
    (
        15,
        {"max_completion_tokens": 5},
        {"options": {"temperature": 1.0, "top_p": 1.0, "num_predict": 5}},
    ),
    (16, {"reasoning_effort": "minimal"}, {"think": "low"}),
    (16, {"reasoning_effort": "ultra"}, {"think": "max"}),
    (16, {"reasoning_effort": "none"}, {"think": False}),
    (16, {"reasoning": {"effort": "high"}, "reasoning_effort": "low"}, {"think": "high"}),
    (16, {"reasoning": {"effort": ""}, "reasoning_effort": "none"}, {"think": None}),
]

NUMBERS = {row.number for row in EDGES} | {number for number, _, _ in MEANINGS}


@each(EDGES)
def test_a_conversation_is_answered_or_refused(server: Server, row: Edge) -> None:
    row.play(server)


@pytest.mark.parametrize(("number", "fields", "meant"), MEANINGS)
def test_a_field_means_the_same_in_the_native_api(
    number: int, fields: dict[str, Any], meant: dict[str, Any]
) -> None:
    chat = convert({"model": "m", "messages": HI} | fields, ChatBody).chat()
    assert {name: getattr(chat, name) for name in meant} == meant
