"""Anthropic's client for Python on Tinychat."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.clients.shared import FRANCE, PARIS, SUM, WEATHER, get_weather

TOOL: Any = {
    "name": WEATHER["name"],
    "description": WEATHER["description"],
    "input_schema": WEATHER["parameters"],
}
ASK: Any = {"model": "tinychat", "max_tokens": 512}


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=url, api_key="any", max_retries=0, timeout=120) as client:
        yield client


def user(content: object) -> Any:
    return {"role": "user", "content": content}


def test_a_question_is_answered(client: anthropic.Anthropic) -> None:
    answer: Any = client.messages.create(**ASK, messages=[user(FRANCE)])
    assert [(block.type, block.text) for block in answer.content] == [("text", PARIS)]
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens > 0


def test_an_answer_is_streamed(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ASK, messages=[user(FRANCE)]) as stream:
        parts = list(stream.text_stream)
        assert "".join(parts) == PARIS
        assert len(parts) > 3
        assert stream.get_final_message().stop_reason == "end_turn"


def test_thoughts_are_a_block_of_their_own(client: anthropic.Anthropic) -> None:
    thinking: Any = {"type": "enabled", "budget_tokens": 256}
    answer: Any = client.messages.create(**ASK, messages=[user(SUM)], thinking=thinking)
    thought, text = answer.content
    assert "7 + 8 = 15" in thought.thinking
    assert "75" in text.text


def test_an_agent_calls_a_tool_and_tells_its_result(client: anthropic.Anthropic) -> None:
    messages = [user("What is the weather in Oslo?")]
    with client.messages.stream(**ASK, messages=messages, tools=[TOOL]) as stream:
        asking: Any = stream.get_final_message()
    assert asking.stop_reason == "tool_use"
    (call,) = asking.content
    assert (call.name, call.input) == ("get_weather", {"city": "Oslo"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": get_weather("Oslo")}
    messages += [{"role": "assistant", "content": asking.content}, user([result])]
    told: Any = client.messages.create(**ASK, messages=messages, tools=[TOOL])
    assert "rain" in told.content[0].text
