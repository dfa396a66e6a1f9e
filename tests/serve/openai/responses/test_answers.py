"""Responses that are made for the official client, whole and as events."""

import json
from typing import Any, Literal

import openai
import pytest
from openai.types.responses import (
    FunctionToolParam,
    Response,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
)
from pydantic import BaseModel

from tests.serve.api.harness import Answer, Server

CITY: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
TOOLS: list[FunctionToolParam] = [
    {"type": "function", "name": "get_weather", "parameters": CITY, "strict": None},
    {"type": "function", "name": "add", "parameters": None, "strict": False},
]


class Weather(BaseModel):
    """What a structured answer is parsed into."""

    sky: Literal["clear", "cloudy"]
    warm: bool


def ask(client: openai.OpenAI, text: str, **more: Any) -> Response:
    response = client.responses.create(model="agent", input=text, temperature=0, **more)
    assert isinstance(response, Response)
    return response


def events(server: Server, **body: Any) -> list[dict[str, Any]]:
    """The events of a stream."""
    answer = server.post("/v1/responses", {"model": "agent", "stream": True, **body})
    assert answer.status == 200, answer.body
    return frames(answer)


def frames(answer: Answer) -> list[dict[str, Any]]:
    """A stream's events; each frame names the type that its data has."""
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    found = []
    for text in answer.body.decode().removesuffix("\n\n").split("\n\n"):
        name, data = text.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def kinds(found: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in found]


TEXT = [
    "output_item.added",
    "content_part.added",
    *["output_text.delta"] * 3,
    "output_text.done",
    "content_part.done",
    "output_item.done",
]
CALL = [
    "output_item.added",
    "function_call_arguments.delta",
    "function_call_arguments.done",
    "output_item.done",
]


def test_a_text_is_answered_with_a_message(client: openai.OpenAI) -> None:
    response = ask(client, "<hello>", instructions="Be brief.", metadata={"a": "b"})
    [message] = response.output
    assert isinstance(message, ResponseOutputMessage)
    assert (message.role, message.status) == ("assistant", "completed")
    assert response.output_text == "Hello there!"
    assert (response.status, response.model, response.object) == ("completed", "agent", "response")
    assert (response.instructions, response.metadata) == ("Be brief.", {"a": "b"})
    assert (response.error, response.incomplete_details) == (None, None)
    assert response.usage
    assert response.usage.output_tokens == 4
    assert response.usage.total_tokens == response.usage.input_tokens + 4


def test_a_response_says_how_it_was_made(server: Server) -> None:
    body = {"model": "agent", "input": "<hello>", "tools": TOOLS, "user": "me"}
    more = {"temperature": 0.5, "top_p": 0.25, "max_output_tokens": 9, "truncation": "auto"}
    line = server.post("/v1/responses", {**body, **more}).json
    assert {**more, "tools": TOOLS, "user": "me"}.items() <= line.items()
    rest = {
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "reasoning": None,
        "service_tier": "default",
        "background": False,
        "store": True,
        "previous_response_id": None,
        "presence_penalty": 0,
        "max_tool_calls": None,
    }
    assert rest.items() <= line.items()
    line = server.post("/v1/responses", {"model": "agent", "input": "<hello>"}).json
    assert (line["temperature"], line["truncation"]) == (1, "disabled")


def test_a_stream_has_all_events_in_their_order(server: Server) -> None:
    found = events(server, input="<hello>", temperature=0)
    assert kinds(found) == ["created", "in_progress", *TEXT, "completed"]
    first, last = found[0]["response"], found[-1]["response"]
    assert (first["status"], first["output"], first["usage"]) == ("in_progress", [], None)
    assert found[1]["response"] == first
    assert (last["id"], last["status"]) == (first["id"], "completed")
    assert last["completed_at"] >= last["created_at"]
    assert "".join(event.get("delta", "") for event in found) == found[7]["text"] == "Hello there!"
    [message] = last["output"]
    assert found[9]["item"] == message
    assert message["content"] == [found[8]["part"]]
    assert found[2]["item"] == {**message, "status": "in_progress", "content": []}
    places = {(e.get("item_id"), e.get("output_index"), e.get("content_index")) for e in found[3:9]}
    assert places == {(message["id"], 0, 0)}


def test_thoughts_are_a_reasoning_item_before_the_message(client: openai.OpenAI) -> None:
    response = ask(client, "<ponder>", reasoning={"effort": "high", "summary": "auto"})
    thoughts, message = response.output
    assert isinstance(thoughts, ResponseReasoningItem)
    assert isinstance(message, ResponseOutputMessage)
    assert thoughts.summary[0].text == thoughts.encrypted_content == "Hm, well."
    assert response.output_text == "So be it."
    assert response.reasoning
    assert (response.reasoning.effort, response.reasoning.summary) == ("high", "auto")
    assert response.usage
    assert 0 < response.usage.output_tokens_details.reasoning_tokens < response.usage.output_tokens


def test_thoughts_are_streamed_as_a_summary(server: Server) -> None:
    found = events(server, input="<ponder>", temperature=0)
    assert kinds(found)[2:10] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
    ]
    assert (found[2]["item"]["summary"], found[6]["text"]) == ([], "Hm, well.")
    assert {event["output_index"] for event in found[2:9]} == {0}
    assert {event["output_index"] for event in found[9:-1]} == {1}
    assert [item["type"] for item in found[-1]["response"]["output"]] == ["reasoning", "message"]


def test_without_effort_there_are_no_thoughts_to_sort_out(client: openai.OpenAI) -> None:
    response = ask(client, "<hello>", reasoning={"effort": "none"})
    assert response.output_text == "Hello there!"


def test_calls_are_items_behind_the_text_before_them(server: Server) -> None:
    found = events(server, input="<weather>", tools=TOOLS, temperature=0)
    text = [kind for kind in TEXT if kind != "output_text.delta"]
    text[2:2] = ["output_text.delta"] * 2
    assert kinds(found) == ["created", "in_progress", *text, *CALL, *CALL, "completed"]
    message, first, second = found[-1]["response"]["output"]
    assert message["content"][0]["text"] == "Let me see. "
    assert (first["name"], first["arguments"]) == ("get_weather", '{"city":"Oslo"}')
    assert (second["name"], second["arguments"], second["status"]) == ("add", "{}", "completed")
    added, delta, done, closed = found[9:13]
    assert added["item"] == {**first, "arguments": "", "status": "in_progress"}
    assert delta["delta"] == done["arguments"] == first["arguments"]
    assert (done["name"], closed["item"]) == ("get_weather", first)
    assert (delta["item_id"], delta["output_index"]) == (first["id"], 1)


def test_a_call_can_be_demanded(client: openai.OpenAI) -> None:
    choice: Any = {"type": "function", "name": "add"}
    response = ask(client, "<hello>", tools=TOOLS, tool_choice=choice, parallel_tool_calls=False)
    [call] = response.output
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, response.tool_choice.to_dict()) == ("add", choice)  # type: ignore[union-attr]
    assert ask(client, "<hello>", tools=TOOLS, tool_choice="none").output_text == "Hello there!"


@pytest.mark.parametrize("kept", [True, False])
def test_an_agent_gets_to_an_answer(client: openai.OpenAI, kept: bool) -> None:
    response = ask(client, "<weather>", tools=TOOLS, store=kept)
    calls = [item for item in response.output if isinstance(item, ResponseFunctionToolCall)]
    assert [json.loads(call.arguments) for call in calls] == [{"city": "Oslo"}, {}]
    outputs: list[Any] = [
        {"type": "function_call_output", "call_id": call.call_id, "output": "sun"} for call in calls
    ]
    if kept:
        last = ask(client, outputs, previous_response_id=response.id, tools=TOOLS)  # type: ignore[arg-type]
    else:
        said = [item.model_dump() for item in response.output]
        asked = [{"role": "user", "content": "<weather>"}, *said, *outputs]
        last = ask(client, asked, tools=TOOLS)  # type: ignore[arg-type]
    assert last.output_text == "It is sunny."
    assert last.previous_response_id == (response.id if kept else None)


def test_the_clients_own_stream_gathers_the_same_response(client: openai.OpenAI) -> None:
    with client.responses.stream(
        model="agent", input="<weather>", temperature=0, tools=TOOLS
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()
    assert deltas == ["Let me", " see. "]
    assert response.output_text == "Let me see. "
    assert [item.type for item in response.output] == ["message", "function_call", "function_call"]


@pytest.mark.anyio
async def test_the_asynchronous_client_streams_too(server: Server) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
        stream = await client.responses.create(
            model="agent", input="<hello>", stream=True, temperature=0
        )
        found = [event.type async for event in stream]
    assert (found[0], found[-1]) == ("response.created", "response.completed")


def test_a_schema_is_obeyed_and_parsed(client: openai.OpenAI) -> None:
    response = client.responses.parse(model="tiny", input="How is Oslo?", text_format=Weather)
    assert isinstance(response.output_parsed, Weather)
    assert response.text
    assert response.text.format
    assert response.text.format.type == "json_schema"
    with client.responses.stream(model="tiny", input="Oslo?", text_format=Weather) as stream:
        final = stream.get_final_response()
    assert isinstance(final.output_parsed, Weather)


def test_any_json_object_is_enforced(server: Server) -> None:
    body = {"model": "tiny", "input": "Oslo?", "max_output_tokens": 40}
    text = server.post("/v1/responses", {**body, "text": {"format": {"type": "json_object"}}})
    assert text.json["output"][0]["content"][0]["text"].lstrip().startswith("{")


def test_an_answer_that_was_cut_off_is_incomplete(client: openai.OpenAI, server: Server) -> None:
    response = ask(client, "<hello>", max_output_tokens=2)
    assert (response.status, response.output_text) == ("incomplete", "Hello there")
    assert response.incomplete_details
    assert response.incomplete_details.reason == "max_output_tokens"
    [message] = response.output
    assert isinstance(message, ResponseOutputMessage)
    assert message.status == "incomplete"
    found = events(server, input="<ponder>", max_output_tokens=2)
    assert kinds(found)[-1] == "incomplete"
    assert [item["type"] for item in found[-1]["response"]["output"]] == ["reasoning"]


def test_logprobs_belong_to_the_text(client: openai.OpenAI, server: Server) -> None:
    response = ask(client, "<ponder>", top_logprobs=2, include=["message.output_text.logprobs"])
    message = response.output[-1]
    assert isinstance(message, ResponseOutputMessage)
    part = message.content[0]
    assert isinstance(part, ResponseOutputText)
    assert part.logprobs
    assert "".join(item.token for item in part.logprobs) == part.text == "So be it."
    assert [len(item.top_logprobs) for item in part.logprobs] == [2, 2]
    found = events(server, input="<hello>", include=["message.output_text.logprobs"])
    deltas = [e for e in found if e["type"] == "response.output_text.delta"]
    assert [[item["token"] for item in e["logprobs"]] for e in deltas] == [
        ["Hello"],
        [" there"],
        ["!"],
    ]
    assert found[7]["logprobs"] == [item for e in deltas for item in e["logprobs"]]


def test_an_answer_of_blanks_is_a_message(client: openai.OpenAI) -> None:
    assert ask(client, "<quiet>").output_text == "\n \n"


@pytest.mark.parametrize("stream", [False, True])
def test_no_input_only_loads_the_model(server: Server, stream: bool) -> None:
    body = {"model": "agent", "stream": stream}
    answer = server.post("/v1/responses", body)
    assert answer.status == 200
    line = events(server)[-1]["response"] if stream else answer.json
    assert (line["status"], line["usage"]["total_tokens"]) == ("completed", 0)
    assert line["output"][0]["content"][0]["text"] == ""


def test_input_tokens_are_counted_as_they_will_be(client: openai.OpenAI) -> None:
    counted = client.responses.input_tokens.count(model="agent", input="<hello>", tools=TOOLS)
    response = ask(client, "<hello>", tools=TOOLS)
    assert response.usage
    assert counted.input_tokens == response.usage.input_tokens > 1
