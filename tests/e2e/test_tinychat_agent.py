"""Agents on Tinychat with Ollama's client: thoughts, tools and forms, streamed and in one piece."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

import ollama
import pytest
from pydantic import BaseModel

from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.modelfile import Modelfile
from modelkit.names import ModelName
from modelkit.store import Store
from tests.conftest import FIXTURES
from tests.serve.api.harness import Server, running

TINYCHAT = FIXTURES / "tinychat"
SUM = [{"role": "user", "content": "What is 27 + 48?"}]
WEATHER = "What is the weather in Oslo?"

Ask = Callable[..., ollama.Message]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    store = Store(tmp_path_factory.mktemp("tinychat") / "models")
    modelfile = Modelfile.parse((TINYCHAT / "Modelfile").read_bytes(), filename="Modelfile")
    build(Recipe.from_modelfile(modelfile, TINYCHAT), ModelName.parse("tinychat"), store)
    with running(store) as server:
        yield server


@pytest.fixture(params=["stream", "whole"])
def ask(server: Server, request: pytest.FixtureRequest) -> Iterator[Ask]:
    """Asks Tinychat: the message it answers, put together when it was streamed."""
    with server.client() as client:

        def chat(messages: list[Any], **more: Any) -> ollama.Message:
            if request.param == "stream":
                parts = client.chat("tinychat", messages, stream=True, **more)
                return joined([part.message for part in parts])
            answer: ollama.ChatResponse = client.chat("tinychat", messages, **more)
            return answer.message

        yield chat


def joined(parts: list[ollama.Message]) -> ollama.Message:
    return ollama.Message(
        role="assistant",
        content="".join(part.content or "" for part in parts),
        thinking="".join(part.thinking or "" for part in parts) or None,
        tool_calls=[call for part in parts for call in part.tool_calls or []] or None,
    )


def get_weather(city: str) -> str:
    """Get the weather in a city

    Args:
        city: The city
    """
    return json.dumps({"temperature": 12, "condition": f"rain in {city}"})


def test_an_agent_calls_a_tool_and_tells_its_result(ask: Ask) -> None:
    messages: list[Any] = [{"role": "user", "content": WEATHER}]
    for _ in range(3):
        message = ask(messages, tools=[get_weather])
        messages.append(message)
        if not message.tool_calls:
            break
        assert not message.content
        for call in message.tool_calls:
            assert call.function.name == "get_weather"
            result = get_weather(**call.function.arguments)
            messages.append({"role": "tool", "tool_name": "get_weather", "content": result})
    assert [getattr(item, "role", None) or item["role"] for item in messages] == [
        *("user", "assistant", "tool", "assistant")
    ]
    assert "12" in messages[-1].content
    assert "rain in Oslo" in messages[-1].content


def test_without_need_no_tool_is_called(ask: Ask) -> None:
    message = ask(
        [{"role": "user", "content": "What is the capital of France?"}], tools=[get_weather]
    )
    assert message.tool_calls is None
    assert "Paris" in (message.content or "")


def test_a_sum_is_thought_through_before_it_is_told(ask: Ask) -> None:
    for think in (None, True):
        message = ask(SUM, think=think)
        assert "7 + 8 = 15" in (message.thinking or "")
        assert "75" in (message.content or "")
    silent = ask(SUM, think=False)
    assert silent.thinking is None
    assert "think>" not in (silent.content or "")


class Sum(BaseModel, extra="forbid"):
    """A form that the model was never shown."""

    operation: Literal["addition"]
    result: int


def test_a_form_is_kept_after_thoughts(ask: Ask) -> None:
    message = ask(SUM, format=Sum.model_json_schema())
    assert "7 + 8 = 15" in (message.thinking or "")
    assert Sum.model_validate_json(message.content or "").operation == "addition"


def test_json_asked_for_in_words_has_the_right_values(ask: Ask) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    text = "Answer with JSON with the keys name and age: Maria is 34 years old."
    message = ask([{"role": "user", "content": text}], format=schema, think=False)
    assert json.loads(message.content or "") == {"name": "Maria", "age": 34}


def test_a_call_is_streamed_as_one_piece_before_the_end(server: Server) -> None:
    with server.client() as client:
        question = [{"role": "user", "content": WEATHER}]
        parts = list(client.chat("tinychat", question, tools=[get_weather], stream=True))
    (calling,) = (part for part in parts if part.message.tool_calls)
    assert not calling.done
    assert not any(part.message.content for part in parts)
    assert parts[-1].done_reason == "stop"
