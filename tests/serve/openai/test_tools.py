"""Tools with OpenAI's client: calls whole and streamed, forced, restricted, and an agent's loop."""

import json
import re
from typing import Any

import jsonschema
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.serve.api.harness import Server

USER: list[ChatCompletionMessageParam] = [{"role": "user", "content": "How is Oslo?"}]
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo", "Rome"]}, "days": {"type": "boolean"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


def tool(name: str, **function: Any) -> Any:
    return {"type": "function", "function": {"name": name} | function}


TOOLS = [tool("get_weather", description="The weather", parameters=WEATHER), tool("add")]
NAMED: Any = {"type": "function", "function": {"name": "get_weather"}}
BOTH = [("get_weather", {"city": "Oslo"}), ("add", {"a": 1.5})]


def calls(message: Any) -> list[tuple[str, Any]]:
    found = message.tool_calls or []
    assert all(re.fullmatch("call_[a-z0-9]{8}", call.id) for call in found)
    assert all(call.type == "function" for call in found)
    return [(call.function.name, json.loads(call.function.arguments)) for call in found]


def post(server: Server, **body: Any) -> Any:
    request = {"model": "agent", "messages": USER, "tools": TOOLS} | body
    return server.post("/v1/chat/completions", request)


def test_an_answer_has_text_and_calls(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="agent", messages=USER, tools=TOOLS)
    [choice] = answer.choices
    assert choice.message.content == "Let me see. "
    assert calls(choice.message) == BOTH
    assert choice.finish_reason == "tool_calls"


def test_a_stream_has_each_call_whole(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {"model": "agent", "messages": USER, "tools": TOOLS}
    with client.chat.completions.create(**ask, stream=True) as stream:
        choices = [chunk.choices[0] for chunk in stream]
    assert "".join(choice.delta.content or "" for choice in choices) == "Let me see. "
    found = [call for choice in choices for call in choice.delta.tool_calls or []]
    assert [call.index for call in found] == [0, 1]
    names = [
        (call.function.name, json.loads(call.function.arguments or ""))
        for call in found
        if call.function
    ]
    assert names == BOTH
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["tool_calls"]


def test_the_clients_own_accumulator_finds_the_calls(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="agent", messages=USER, tools=TOOLS) as stream:
        kinds = [event.type for event in stream]
        answer = stream.get_final_completion()
    assert kinds.count("tool_calls.function.arguments.done") == 2
    assert calls(answer.choices[0].message) == BOTH


def test_an_agent_gets_to_its_answer(client: openai.OpenAI) -> None:
    messages: list[Any] = list(USER)
    first = client.chat.completions.create(model="agent", messages=messages, tools=TOOLS)
    message = first.choices[0].message
    messages.append(message.model_dump())
    assert message.tool_calls
    told = {"role": "tool", "content": "sunny"}
    messages += [told | {"tool_call_id": call.id} for call in message.tool_calls]
    last = client.chat.completions.create(model="agent", messages=messages, tools=TOOLS)
    assert last.choices[0].message.content == "It is sunny."
    assert last.choices[0].finish_reason == "stop"


def test_the_limit_is_the_reason_after_calls_too(server: Server) -> None:
    [choice] = post(server, max_tokens=7).json["choices"]
    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == ["get_weather"]
    assert choice["finish_reason"] == "length"


def test_the_prompt_names_the_tool_that_answered(server: Server) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "3"},
    ]
    answer = post(server, messages=messages, _debug_render_only=True).json
    assert "add: 3 <answer>" in answer["_debug_info"]["rendered_template"]


def test_none_hides_the_tools(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="agent", messages=USER, tools=TOOLS, tool_choice="none"
    )
    assert answer.choices[0].message.tool_calls is None
    assert "<tool_call>" in (answer.choices[0].message.content or "")


@pytest.mark.parametrize("choice", ["required", NAMED])
def test_a_forced_call_obeys_its_schema(client: openai.OpenAI, choice: Any) -> None:
    for seed in range(5):
        answer = client.chat.completions.create(
            model="caller",
            messages=USER,
            tools=TOOLS[:1],
            tool_choice=choice,
            parallel_tool_calls=False,
            seed=seed,
            temperature=1.5,
        )
        [(name, arguments)] = calls(answer.choices[0].message)
        jsonschema.validate(arguments, WEATHER)
        assert name == "get_weather"
        assert answer.choices[0].finish_reason == "tool_calls"


def test_only_the_allowed_tools_may_be_called(client: openai.OpenAI) -> None:
    # Strict, because nothing else ends what this model says once it may not go on as it would
    tools = [tool("get_weather", parameters=WEATHER, strict=True), tool("add")]
    only = {"type": "function", "function": {"name": "get_weather"}}
    for mode in ("auto", "required"):
        choice: Any = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [only]}}
        answer = client.chat.completions.create(
            model="agent",
            messages=USER,
            tools=tools,
            tool_choice=choice,
            parallel_tool_calls=False,
        )
        assert [name for name, _ in calls(answer.choices[0].message)] == ["get_weather"]


def test_strict_tools_obey_when_they_are_called(client: openai.OpenAI) -> None:
    strict = tool("get_weather", parameters=WEATHER, strict=True)
    answer = client.chat.completions.create(
        model="agent", messages=USER, tools=[strict], parallel_tool_calls=False
    )
    [(_, arguments)] = calls(answer.choices[0].message)
    jsonschema.validate(arguments, WEATHER)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [tool("")]}, "tools[0].function.name"),
        ({"tools": [tool("a", x=1)]}, "tools[0].function.x"),
        ({"tools": [tool("a") | {"x": 1}]}, "tools[0].x"),
        ({"tools": ["add"]}, "tools[0]"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"tool_choice": tool("other")}, "tool_choice"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice"),
        ({"tool_choice": "required", "tools": []}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools"),
    ],
)
def test_what_is_no_tool_or_choice_is_named(
    server: Server, body: dict[str, Any], field: str
) -> None:
    answer = post(server, **body)
    assert answer.status == 400, answer.body
    assert answer.json["error"]["param"] == field


def test_a_model_without_tools_says_so(server: Server) -> None:
    answer = post(server, model="plain")
    assert answer.status == 400
    assert answer.json["error"]["message"].endswith("does not support tools")
