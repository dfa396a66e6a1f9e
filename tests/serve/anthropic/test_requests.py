"""What /v1/messages makes of a body, and how it refuses one."""

import json
import re
from typing import Any

import pytest

from modelkit.serve.anthropic.reader import decode
from modelkit.serve.anthropic.request import CountRequest, MessagesRequest
from modelkit.serve.api.chatting import Chat, Named
from modelkit.serve.api.errors import ApiError
from tests.serve.api.harness import Server

USER = [{"role": "user", "content": "hi"}]
PIXEL = "aGk="
TOOL = {"name": "add", "description": "Adds", "input_schema": {"type": "object"}}
USE = {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}


def chat(**body: Any) -> Chat:
    request = {"model": "m", "max_tokens": 10, "messages": USER} | body
    return decode(json.dumps(request).encode(), MessagesRequest).chat()


def said(*turns: dict[str, Any], **body: Any) -> list[dict[str, object]]:
    return [message.variables() for message in chat(messages=list(turns), **body).messages]


def turn(role: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def result(**fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "t1", **fields}


def image(**source: Any) -> dict[str, Any]:
    return {"type": "image", "source": source}


@pytest.mark.parametrize(
    ("system", "content"),
    [
        ("Be kind.", "Be kind."),
        ([text("Be "), {**text("kind."), "cache_control": {"type": "ephemeral"}}], "Be kind."),
    ],
)
def test_the_system_text_comes_first(system: Any, content: str) -> None:
    messages = said(*USER, system=system)
    assert messages == [{"role": "system", "content": content}, {"role": "user", "content": "hi"}]


@pytest.mark.parametrize("system", ["", [], None])
def test_no_system_text_is_no_message(system: Any) -> None:
    assert said(*USER, system=system) == [{"role": "user", "content": "hi"}]


def test_texts_of_a_turn_are_one() -> None:
    assert said(turn("user", text("a"), text("b"))) == [{"role": "user", "content": "ab"}]


def test_a_turn_that_says_nothing_is_left_out() -> None:
    assert said(turn("user"), turn("user", text("")), *USER) == [{"role": "user", "content": "hi"}]


def test_calls_and_their_results_find_each_other() -> None:
    call = {"type": "function", "id": "t1", "function": {"name": "add", "arguments": {"a": 1}}}
    answered = {"role": "tool", "name": "add", "tool_call_id": "t1"}
    assert said(
        turn("assistant", text("So"), {**USE, "caller": {"type": "direct"}}),
        turn("user", text("well?"), result(content=[text("4"), text("2")])),
    ) == [
        {"role": "assistant", "content": "So", "tool_calls": [call]},
        {**answered, "content": "42"},
        {"role": "user", "content": "well?"},
    ]


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ({}, ""),
        ({"content": None}, ""),
        ({"content": "42", "is_error": False}, "42"),
        ({"content": "no such file", "is_error": True}, "Error: no such file"),
        ({"content": [text("no")], "is_error": True}, "Error: no"),
    ],
)
def test_a_tool_may_fail(fields: dict[str, Any], content: str) -> None:
    [message] = said(turn("user", result(**fields)))
    assert (message["role"], message["content"]) == ("tool", content)


def test_earlier_thoughts_go_with_their_turn() -> None:
    thoughts = {"type": "thinking", "thinking": "Hm.", "signature": "whatever"}
    redacted = {"type": "redacted_thinking", "data": "xyz"}
    [message, _] = said(turn("assistant", thoughts, redacted, text("Yes.")), *USER)
    assert (message["thinking"], message["content"]) == ("Hm.", "Yes.")


def test_images_go_with_what_is_said_or_answered() -> None:
    picture = image(type="base64", media_type="image/png", data=PIXEL)
    messages = chat(messages=[turn("user", picture, result(content=[picture, text("x")]))]).messages
    assert [message.role for message in messages] == ["tool", "user"]
    assert [message.images for message in messages] == [[PIXEL], [PIXEL]]


def test_tools_become_functions() -> None:
    found = chat(tools=[{**TOOL, "type": "custom", "strict": True}, {**TOOL, "name": "sub"}])
    functions = [tool["function"] for tool in found.tools]
    assert [tool["type"] for tool in found.tools] == ["function", "function"]
    assert functions[0] == {
        "name": "add",
        "description": "Adds",
        "parameters": {"type": "object"},
    }
    assert found.strict_tools == {"add"}


def test_examples_of_input_are_described() -> None:
    [tool] = chat(tools=[{**TOOL, "input_examples": [{"a": 1}, {"a": 2}]}]).tools
    assert tool["function"]["description"] == 'Adds\nExamples of input:\n{"a": 1}\n{"a": 2}'


@pytest.mark.parametrize(
    ("given", "choice", "parallel"),
    [
        (None, "auto", True),
        ({"type": "auto"}, "auto", True),
        ({"type": "auto", "disable_parallel_tool_use": True}, "auto", False),
        ({"type": "any"}, "required", True),
        ({"type": "tool", "name": "add"}, Named("add"), True),
        ({"type": "none"}, "none", True),
    ],
)
def test_the_choice_of_tools(given: Any, choice: object, parallel: bool) -> None:
    found = chat(tools=[TOOL], tool_choice=given)
    assert (found.tool_choice, found.parallel) == (choice, parallel)


@pytest.mark.parametrize(
    ("asked", "think"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, False),
        ({"thinking": {"type": "enabled"}}, True),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10000}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 32000}}, "high"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}, "high"),
        ({"output_config": {"effort": " Max "}}, "max"),
        ({"output_config": {"effort": "enormous"}}, None),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, False),
    ],
)
def test_thinking(asked: dict[str, Any], think: object) -> None:
    assert chat(**asked).think == think


def test_options_are_those_that_are_given() -> None:
    assert chat().options == {"num_predict": 10}
    assert chat(temperature=0.5, top_p=0.9, top_k=3, stop_sequences=["x"]).options == {
        "num_predict": 10,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 3,
        "stop": ["x"],
    }
    assert chat().truncate is False
    assert chat(truncate=True).truncate is True


def test_what_changes_no_answer_is_taken() -> None:
    found = chat(
        metadata={"user_id": "u"},
        service_tier="auto",
        cache_control={"type": "ephemeral"},
        tools=[{**TOOL, "cache_control": None, "eager_input_streaming": True}],
    )
    assert found.options == {"num_predict": 10}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"container": "c"}, "container: not supported"),
        ({"mcp_servers": []}, "mcp_servers: not supported"),
        ({"max_tokens": "10"}, "max_tokens: Expected `int`, got `str`"),
        ({"stop_sequences": ["a", 1]}, "stop_sequences.1: Expected `str`, got `int`"),
        ({"stop_sequences": [""]}, "stop_sequences.0: Expected `str` of length >= 1"),
        ({"thinking": {"type": "some"}}, "thinking.type: Invalid enum value 'some'"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 0}},
            "thinking.budget_tokens: Expected `int` >= 1",
        ),
        ({"messages": [{"content": "hi"}]}, "messages.0.role: field required"),
        ({"messages": [{"role": "tool"}]}, "messages.0.role: Invalid enum value 'tool'"),
        (
            {"messages": [turn("user", {"type": "document", "source": {}})]},
            "messages.0.content.0.type: Invalid value 'document'",
        ),
        (
            {"messages": [turn("user", text("a"), {"type": "text"})]},
            "messages.0.content.1.text: field required",
        ),
        (
            {"messages": [turn("user", {**text("a"), "loud": True})]},
            "messages.0.content.0.loud: not supported",
        ),
        (
            {"messages": [turn("user", result(content=[USE]))]},
            "messages.0.content.0.content.0.type: Invalid value 'tool_use'",
        ),
        (
            {"messages": [turn("assistant", {**USE, "id": ""})]},
            "tool_use block missing required 'id' field",
        ),
        (
            {"messages": [turn("assistant", {"type": "tool_use", "id": "x"})]},
            "tool_use block missing required 'name' field",
        ),
        (
            {"messages": [turn("user", image(type="url", url="https://a/b.png"))]},
            "invalid image source type: url. Only base64 images are supported.",
        ),
        ({"messages": [turn("user", {"type": "image"})]}, "invalid image source"),
        (
            {"messages": [turn("user", image(type="base64", data="?"))]},
            "invalid base64 image data: Only base64 data is allowed",
        ),
        ({"messages": [turn("user")]}, "messages: at least one must say something"),
        (
            {"tools": [TOOL, {"type": "web_search_20250305", "name": "w", "max_uses": 3}]},
            "tools.1.type: `web_search_20250305` is not supported",
        ),
        (
            {"tools": [{"type": "code_execution_20250825", "name": "c"}]},
            "tools.0.type: `code_execution_20250825` is not supported",
        ),
        ({"tools": [{"name": "add"}]}, "tools.0.input_schema: field required"),
        ({"tools": [{**TOOL, "defer_loading": True}]}, "tools.0.defer_loading: "),
        (
            {"tools": [{**TOOL, "input_schema": {"type": 5}}]},
            'invalid input_schema for tool "add": ',
        ),
        ({"tool_choice": {"type": "any"}}, "tool_choice: there are no tools to choose from"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "sub"}},
            "tool_choice.name: no tool is called `sub`",
        ),
        ({"tool_choice": {"type": "must"}}, "tool_choice.type: Invalid enum value 'must'"),
        (
            {"output_config": {"format": {"type": "text"}}},
            "output_config.format.type: Invalid enum value 'text'",
        ),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match="^" + re.escape(message)) as caught:
        chat(**body)
    assert caught.value.status == 400


@pytest.mark.parametrize("field", ["max_tokens", "stream", "temperature"])
def test_what_counts_no_tokens_is_refused_where_they_are_counted(field: str) -> None:
    body = json.dumps({"model": "m", "messages": USER, field: 1}).encode()
    with pytest.raises(ApiError, match=f"^{field}: not supported"):
        decode(body, CountRequest)


@pytest.mark.parametrize(
    ("body", "status", "kind", "message"),
    [
        ({}, 400, "invalid_request_error", "model is required"),
        ({"model": " ", "max_tokens": 1}, 400, "invalid_request_error", "model is required"),
        (
            {"model": "teller", "messages": USER},
            400,
            "invalid_request_error",
            "max_tokens is required and must be positive",
        ),
        (
            {"model": "teller", "max_tokens": 0, "messages": USER},
            400,
            "invalid_request_error",
            "max_tokens is required and must be positive",
        ),
        (
            {"model": "teller", "max_tokens": 1, "messages": []},
            400,
            "invalid_request_error",
            "messages is required",
        ),
        (
            {"model": "absent", "max_tokens": 1, "messages": USER},
            404,
            "not_found_error",
            "model 'absent' not found",
        ),
        (
            {"model": "x:cloud", "max_tokens": 1, "messages": USER},
            403,
            "permission_error",
            "ollama cloud is disabled: remote model is unavailable",
        ),
        (
            {"model": "minilm", "max_tokens": 1, "messages": USER},
            400,
            "invalid_request_error",
            '"minilm" does not support chat',
        ),
        (
            {"model": "teller", "max_tokens": 1, "messages": USER, "temperature": 1e300},
            400,
            "invalid_request_error",
            'option "temperature" is out of range',
        ),
        (
            {
                "model": "teller",
                "max_tokens": 1,
                "messages": [turn("user", image(type="base64", data=PIXEL))],
            },
            400,
            "invalid_request_error",
            '"teller" does not support images',
        ),
        (b"", 400, "invalid_request_error", "invalid JSON: Input data was truncated"),
        (b"{", 400, "invalid_request_error", "invalid JSON: Input data was truncated"),
        (b"[]", 400, "invalid_request_error", "Expected `object`, got `array`"),
        (
            b'{"model":"\\ud800 and on"}',
            400,
            "invalid_request_error",
            "invalid JSON: JSON is malformed: unexpected end of escaped utf-16 surrogate pair"
            " (byte 16)",
        ),
        (b'{"a":' * 3000, 400, "invalid_request_error", None),
        (b'{"model":"\xff"}', 400, "invalid_request_error", None),
    ],
)
def test_the_envelope_of_errors(
    server: Server, body: Any, status: int, kind: str, message: str | None
) -> None:
    answer = server.post("/v1/messages", body)
    assert (answer.status, answer.json["type"]) == (status, "error")
    assert answer.json["error"]["type"] == kind
    assert message is None or answer.json["error"]["message"] == message
    assert re.fullmatch("req_[0-9a-f]{24}", answer.json["request_id"])
    assert answer.headers["request-id"] == answer.json["request_id"]


def test_headers_of_anthropic_are_welcome(server: Server) -> None:
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01", "anthropic-beta": "a,b"}
    body = {"model": "teller", "max_tokens": 1, "messages": USER}
    answer = server.request("POST", "/v1/messages?beta=true", body, headers)
    assert answer.status == 200
    assert list(answer.json) == [
        "id",
        "type",
        "role",
        "model",
        "content",
        "stop_reason",
        "stop_sequence",
        "usage",
    ]


def test_frames_name_their_events_and_a_ping_comes_early(server: Server) -> None:
    body = {"model": "teller", "max_tokens": 1, "messages": USER, "stream": True}
    answer = server.post("/v1/messages", body)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    frames = [frame.split("\n") for frame in answer.body.decode().split("\n\n")[:-1]]
    names = [name.removeprefix("event: ") for name, _ in frames]
    assert names == [json.loads(data.removeprefix("data: "))["type"] for _, data in frames]
    assert names[:3] == ["message_start", "ping", "content_block_start"]


def test_no_edit_of_the_context_is_claimed(server: Server) -> None:
    asked = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    body = {"model": "teller", "max_tokens": 1, "messages": USER, "context_management": asked}
    answer = server.post("/v1/messages", body)
    assert answer.json["context_management"] == {"applied_edits": []}
