"""/v1/messages with Anthropic's own client: text, thoughts, tools, streamed and not."""

import os
import signal
from typing import Any

import anthropic
import pytest
from anthropic.types import MessageParam, ToolParam

from modelkit.store import Store
from tests.serve.anthropic.conftest import LOUD
from tests.serve.api.harness import Server, running

ASK: list[MessageParam] = [{"role": "user", "content": "Tell me."}]
TOOLS: list[ToolParam] = [
    {
        "name": "get_weather",
        "description": "The weather in a city",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
    {"name": "clock", "input_schema": {"type": "object", "properties": {}}},
]


def types(events: list[Any]) -> list[str]:
    return [event.type for event in events]


def raw(client: anthropic.Anthropic, **body: Any) -> list[Any]:
    """The events of a stream as they come."""
    with client.messages.create(max_tokens=100, messages=ASK, stream=True, **body) as events:
        return list(events)


def test_a_whole_message(client: anthropic.Anthropic) -> None:
    message = client.messages.create(model="teller", max_tokens=100, messages=ASK)
    assert message.id.startswith("msg_")
    assert (message.type, message.role, message.model) == ("message", "assistant", "teller")
    assert [block.to_dict() for block in message.content] == [
        {"type": "text", "text": "Once upon a time.\nThe end."}
    ]
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.usage.output_tokens == 7
    assert message._request_id is not None
    assert message._request_id.startswith("req_")


def test_a_streamed_message(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="teller", max_tokens=100, messages=ASK) as stream:
        assert "".join(stream.text_stream) == "Once upon a time.\nThe end."
        message = stream.get_final_message()
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 7)


def test_the_order_of_events(client: anthropic.Anthropic) -> None:
    events = raw(client, model="teller")
    assert types(events) == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * 6,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    start = events[0].message
    assert (start.content, start.stop_reason, start.usage.output_tokens) == ([], None, 0)
    end = events[-2]
    assert end.delta.stop_reason == "end_turn"
    cached = end.usage.cache_read_input_tokens
    assert start.usage.input_tokens == end.usage.input_tokens + cached


def test_the_answer_ends_at_max_tokens(client: anthropic.Anthropic) -> None:
    message = client.messages.create(model="teller", max_tokens=2, messages=ASK)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 2)


@pytest.mark.parametrize("sequence", ["time", "a time.\nThe"])
def test_a_stop_sequence_is_named_and_not_said(client: anthropic.Anthropic, sequence: str) -> None:
    stops = ["nowhere", sequence]
    body: dict[str, Any] = {"model": "teller", "max_tokens": 100, "stop_sequences": stops}
    message = client.messages.create(messages=ASK, **body)
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", sequence)
    [block] = message.content
    assert block.type == "text"
    assert block.text == "Once upon a time.\nThe end.".partition(sequence)[0]
    with client.messages.stream(messages=ASK, **body) as stream:
        streamed = stream.get_final_message()
    assert (streamed.stop_reason, streamed.stop_sequence) == ("stop_sequence", sequence)


def test_thoughts_are_a_block_of_their_own(client: anthropic.Anthropic) -> None:
    message = client.messages.create(
        model="thinker",
        max_tokens=1000,
        messages=ASK,
        thinking={"type": "enabled", "budget_tokens": 20000},
    )
    thoughts, text = message.content
    assert thoughts.type == "thinking"
    assert (thoughts.thinking, len(thoughts.signature)) == ("Two and two.", 44)
    assert text.to_dict() == {"type": "text", "text": "It is 4."}


def test_streamed_thoughts_end_with_their_signature(client: anthropic.Anthropic) -> None:
    events = raw(client, model="thinker", thinking={"type": "adaptive"})
    deltas = [event.delta.type for event in events if event.type == "content_block_delta"]
    assert deltas == [*["thinking_delta"] * 2, "signature_delta", *["text_delta"] * 2]
    assert [event.index for event in events if event.type == "content_block_start"] == [0, 1]
    with client.messages.stream(model="thinker", max_tokens=100, messages=ASK) as stream:
        streamed = stream.get_final_message()
    whole = client.messages.create(model="thinker", max_tokens=100, messages=ASK)
    assert [block.to_dict() for block in streamed.content] == [
        block.to_dict() for block in whole.content
    ]


ADAPTIVE = {"type": "adaptive"}
DISABLED = {"type": "disabled"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, ["Two and two.", "It is 4."]),
        ({"thinking": DISABLED}, ["Four, I say."]),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, ["Easy.", "Four."]),
        (
            {"thinking": ADAPTIVE, "output_config": {"effort": "low"}},
            ["Easy.", "Four."],
        ),
        ({"thinking": DISABLED, "output_config": {"effort": "low"}}, ["Four, I say."]),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, ["", "It is 4."]),
    ],
)
def test_how_much_is_thought(
    client: anthropic.Anthropic, asked: dict[str, Any], said: list[str]
) -> None:
    message = client.messages.create(model="thinker", max_tokens=100, messages=ASK, **asked)
    texts = [block.to_dict() for block in message.content]
    assert [text.get("thinking", text.get("text")) for text in texts] == said
    with client.messages.stream(model="thinker", max_tokens=100, messages=ASK, **asked) as stream:
        assert [block.to_dict() for block in stream.get_final_message().content] == texts


def test_a_model_that_cannot_think_answers_all_the_same(client: anthropic.Anthropic) -> None:
    message = client.messages.create(
        model="teller",
        max_tokens=4000,
        messages=ASK,
        thinking={"type": "enabled", "budget_tokens": 2000},
    )
    assert [block.type for block in message.content] == ["text"]


def test_calls_of_tools(client: anthropic.Anthropic) -> None:
    message = client.messages.create(model="agent", max_tokens=100, messages=ASK, tools=TOOLS)
    assert message.stop_reason == "tool_use"
    thoughts, text, weather, clock = message.content
    assert (thoughts.type, text.type) == ("thinking", "text")
    assert weather.type == clock.type == "tool_use"
    assert (weather.name, weather.input) == ("get_weather", {"city": "Oslo"})
    assert (clock.name, clock.input) == ("clock", {})
    assert weather.id != clock.id


def test_streamed_calls_of_tools(client: anthropic.Anthropic) -> None:
    events = raw(client, model="agent", tools=TOOLS)
    started = [e.content_block.type for e in events if e.type == "content_block_start"]
    stopped = [event.index for event in events if event.type == "content_block_stop"]
    assert (started, stopped) == (["thinking", "text", "tool_use", "tool_use"], [0, 1, 2, 3])
    assert events[-2].delta.stop_reason == "tool_use"
    with client.messages.stream(model="agent", max_tokens=100, messages=ASK, tools=TOOLS) as stream:
        calls = [b for b in stream.get_final_message().content if b.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == [
        ("get_weather", {"city": "Oslo"}),
        ("clock", {}),
    ]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"type": "tool", "name": "clock"}, {"clock"}),
        ({"type": "tool", "name": "lamp"}, {"lamp"}),
        ({"type": "any", "disable_parallel_tool_use": True}, {"clock", "lamp"}),
    ],
)
def test_a_call_can_be_demanded(client: anthropic.Anthropic, choice: Any, names: set[str]) -> None:
    colours = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}}
    lamp: ToolParam = {"name": "lamp", "input_schema": {**colours, "required": ["colour"]}}
    message = client.messages.create(
        model="agent", max_tokens=200, messages=ASK, tools=[lamp, TOOLS[1]], tool_choice=choice
    )
    assert message.stop_reason == "tool_use"
    assert [block.type for block in message.content] == ["thinking", "tool_use"]
    call: Any = message.content[1]
    assert call.name in names
    assert call.input in ({}, {"colour": "red"}, {"colour": "blue"})


def test_calls_can_be_forbidden(client: anthropic.Anthropic) -> None:
    message = client.messages.create(
        model="agent", max_tokens=100, messages=ASK, tools=TOOLS, tool_choice={"type": "none"}
    )
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize("stream", [False, True])
def test_an_agent_gets_to_its_answer(client: anthropic.Anthropic, stream: bool) -> None:
    messages: list[MessageParam] = [{"role": "user", "content": "How is Oslo?"}]
    body: dict[str, Any] = {"model": "agent", "max_tokens": 100, "tools": TOOLS}
    for _ in range(3):
        if stream:
            with client.messages.stream(messages=messages, **body) as events:
                message = events.get_final_message()
        else:
            message = client.messages.create(messages=messages, **body)
        if message.stop_reason != "tool_use":
            break
        messages.append({"role": "assistant", "content": message.content})
        calls = [block for block in message.content if block.type == "tool_use"]
        results: Any = [
            {
                "type": "tool_result",
                "tool_use_id": call.id,
                "content": [{"type": "text", "text": f"{call.name}: fine"}],
            }
            for call in calls
        ]
        messages.append({"role": "user", "content": results})
    assert message.stop_reason == "end_turn"
    assert [block.to_dict() for block in message.content] == [
        {"type": "text", "text": "It is sunny."}
    ]


def test_the_cache_is_seen_in_the_usage(client: anthropic.Anthropic) -> None:
    body: dict[str, Any] = {
        "model": "teller",
        "max_tokens": 10,
        "system": "You tell stories. " * 20,
        "messages": ASK,
    }
    counted = client.messages.count_tokens(
        model=body["model"], system=body["system"], messages=ASK
    ).input_tokens
    first, second = (client.messages.create(**body).usage for _ in range(2))
    for usage in (first, second):
        assert usage.cache_read_input_tokens is not None
        assert usage.input_tokens + usage.cache_read_input_tokens == counted
    assert second.cache_read_input_tokens == counted - 1


def test_tokens_are_counted_with_tools_and_thoughts(client: anthropic.Anthropic) -> None:
    bare = client.messages.count_tokens(model="agent", messages=ASK).input_tokens
    offered = client.messages.count_tokens(model="agent", messages=ASK, tools=TOOLS)
    assert offered.input_tokens > bare
    message = client.messages.create(model="agent", max_tokens=1, messages=ASK, tools=TOOLS)
    cached = message.usage.cache_read_input_tokens or 0
    assert message.usage.input_tokens + cached == offered.input_tokens


def test_a_form_is_kept(client: anthropic.Anthropic) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"n": {"const": 4}}}
    schema |= {"required": ["n"], "additionalProperties": False}
    message = client.messages.create(
        model="tiny",
        max_tokens=100,
        messages=ASK,
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    [block] = message.content
    assert block.type == "text"
    assert "".join(block.text.split()) == '{"n":4}'


def test_thoughts_before_a_form_count_as_answer(client: anthropic.Anthropic) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"n": {"const": 4}}}
    schema |= {"required": ["n"], "additionalProperties": False}
    body: dict[str, Any] = {"model": "thinker", "messages": ASK}
    body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    usage = client.messages.create(max_tokens=100, **body).usage
    counted = client.messages.count_tokens(**body).input_tokens
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == counted
    assert usage.output_tokens > len(LOUD[:5])
    cut = client.messages.create(max_tokens=8, **body)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 8)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"model": "absent"}, anthropic.NotFoundError),
        ({"model": "minilm"}, anthropic.BadRequestError),
        ({"model": "teller", "tools": TOOLS}, anthropic.BadRequestError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_before_the_first_word_have_their_status(
    client: anthropic.Anthropic, body: dict[str, Any], error: type[Exception], stream: bool
) -> None:
    with pytest.raises(error):
        client.messages.create(max_tokens=5, messages=ASK, stream=stream, **body)


def test_a_prompt_longer_than_the_context_is_refused_unless_it_may_be_cut(
    client: anthropic.Anthropic,
) -> None:
    turns: list[MessageParam] = [
        {"role": "user", "content": "word " * 1000},
        {"role": "user", "content": "word " * 10},
    ]
    with pytest.raises(anthropic.BadRequestError, match="longer than the context length"):
        client.messages.create(model="teller", max_tokens=5, messages=turns)
    message = client.messages.create(
        model="teller", max_tokens=5, messages=turns, extra_body={"truncate": True}
    )
    assert message.usage.output_tokens == 5


def test_an_error_amid_a_stream_is_an_event(anthropic_models: Store) -> None:
    long: dict[str, Any] = {"model": "tiny", "max_tokens": 4000, "temperature": 1.0, "top_k": 0}
    with (
        running(anthropic_models) as server,
        anthropic.Anthropic(base_url=server.url, api_key="any", max_retries=0) as client,
        client.messages.create(messages=ASK, stream=True, **long) as events,
    ):
        assert next(iter(events)).type == "message_start"
        os.kill(next(iter(server.scheduler._roster)).runner.pid, signal.SIGKILL)
        with pytest.raises(anthropic.APIStatusError) as caught:
            list(events)
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == "api_error"
    assert body["request_id"].startswith("req_")


def test_leaving_a_stream_frees_the_model(server: Server, client: anthropic.Anthropic) -> None:
    long: dict[str, Any] = {"model": "tiny", "max_tokens": 4000, "temperature": 1.0, "top_k": 0}
    with client.messages.create(messages=ASK, stream=True, **long) as events:
        assert next(iter(events)).type == "message_start"
    message = client.messages.create(model="tiny", max_tokens=3, messages=ASK)
    assert message.usage.output_tokens <= 3
