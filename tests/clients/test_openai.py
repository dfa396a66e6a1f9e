"""OpenAI's client for Python on Tinychat and all-MiniLM."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.clients.shared import (
    FRANCE,
    MARIA,
    PARIS,
    SUM,
    TEXTS,
    WEATHER,
    Person,
    assert_nearness,
    get_weather,
)

TOOL: Any = {"type": "function", "function": WEATHER}


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=120) as client:
        yield client


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def test_a_question_is_answered(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="tinychat", messages=[user(FRANCE)])
    assert answer.choices[0].message.content == PARIS
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


def test_an_answer_is_streamed(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(model="tinychat", messages=[user(FRANCE)], stream=True)
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == PARIS
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_thoughts_stand_apart(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="tinychat", messages=[user(SUM)], reasoning_effort="high"
    )
    message: Any = answer.choices[0].message
    assert "7 + 8 = 15" in message.reasoning
    assert "75" in message.content


def test_a_form_of_pydantic_is_filled_in(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(
        model="tinychat",
        messages=[user(MARIA)],
        response_format=Person,
        reasoning_effort="none",
    )
    assert answer.choices[0].message.parsed == Person(name="Maria", age=34)


def test_an_agent_calls_a_tool_and_tells_its_result(client: openai.OpenAI) -> None:
    messages = [user("What is the weather in Oslo?")]
    answer = client.chat.completions.create(model="tinychat", messages=messages, tools=[TOOL])
    assert answer.choices[0].finish_reason == "tool_calls"
    message: Any = answer.choices[0].message
    (call,) = message.tool_calls
    result = get_weather(**json.loads(call.function.arguments))
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": result}]
    told = client.chat.completions.create(model="tinychat", messages=messages, tools=[TOOL])
    assert "rain" in (told.choices[0].message.content or "")


def test_a_call_is_streamed(client: openai.OpenAI) -> None:
    messages = [user("What is the weather in Oslo?")]
    with client.chat.completions.stream(
        model="tinychat", messages=messages, tools=[TOOL]
    ) as stream:
        message: Any = stream.get_final_completion().choices[0].message
    (call,) = message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Oslo"}


def test_a_gap_in_code_is_filled(client: openai.OpenAI) -> None:
    ask: Any = {"model": "tinychat", "prompt": "def add(a, b):\n    return ", "suffix": "\n"}
    assert client.completions.create(**ask).choices[0].text == "a + b"
    chunks = client.completions.create(**ask, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "a + b"


def test_a_response_is_given_and_streamed(client: openai.OpenAI) -> None:
    assert client.responses.create(model="tinychat", input=FRANCE).output_text == PARIS
    with client.responses.stream(model="tinychat", input=FRANCE) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
    assert "".join(deltas) == PARIS
    filled = client.responses.parse(
        model="tinychat", input=MARIA, text_format=Person, reasoning={"effort": "none"}
    )
    assert filled.output_parsed == Person(name="Maria", age=34)


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_texts_are_embedded(client: openai.OpenAI, encoding: Any) -> None:
    more: Any = {} if encoding == "base64" else {"encoding_format": encoding}  # base64 unless told
    answer = client.embeddings.create(model="all-minilm", input=TEXTS, **more)
    assert_nearness([item.embedding for item in answer.data])


def test_models_are_listed(client: openai.OpenAI) -> None:
    names = [model.id.removesuffix(":latest") for model in client.models.list()]
    assert {"tinychat", "all-minilm"} <= set(names)
    assert client.models.retrieve("all-minilm").object == "model"
