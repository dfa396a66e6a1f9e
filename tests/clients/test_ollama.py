"""Ollama's client for Python on Tinychat: loops as its documentation shows them, to their ends."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ollama
import pytest

from tests.clients.shared import (
    FRANCE,
    MARIA,
    PARIS,
    SUM,
    TEXTS,
    Person,
    assert_nearness,
    get_weather,
    near,
)

TEMPERATURES = {"New York": "22", "London": "15", "Oslo": "12"}
Tool = Callable[..., object]


def get_temperature(city: str) -> str:
    """Get the current temperature for a city

    Args:
        city: The name of the city
    """
    return TEMPERATURES.get(city, "unknown")


def get_time(city: str) -> str:
    """Get the time in a city

    Args:
        city: The city
    """
    return '{"time": "11:45"}' if city == "Rome" else '{"time": "08:00"}'


def multiply(a: int, b: int) -> int:
    """Multiply two numbers

    Args:
        a: The first number
        b: The second number
    """
    return a * b


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[ollama.Client]:
    with ollama.Client(url, timeout=120) as client:
        yield client


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def whole(client: ollama.Client, messages: Sequence[Any], tools: Sequence[Tool]) -> ollama.Message:
    """The next message, asked for in one piece."""
    answer: ollama.ChatResponse = client.chat("tinychat", messages, tools=tools, think=True)
    return answer.message


def streamed(
    client: ollama.Client, messages: Sequence[Any], tools: Sequence[Tool]
) -> ollama.Message:
    """The next message, gathered from a stream."""
    thinking, content = "", ""
    calls: list[ollama.Message.ToolCall] = []
    for part in client.chat("tinychat", messages, tools=tools, think=True, stream=True):
        thinking += part.message.thinking or ""
        content += part.message.content or ""
        calls += part.message.tool_calls or []
    return ollama.Message(
        role="assistant", content=content, thinking=thinking or None, tool_calls=calls or None
    )


@pytest.fixture(params=[whole, streamed], ids=["whole", "streamed"])
def answer(
    request: pytest.FixtureRequest, client: ollama.Client
) -> Callable[[list[Any], Sequence[Tool]], ollama.Message]:
    """The agent's loop: asks and calls tools until an answer comes, which is returned."""
    following = request.param

    def loop(messages: list[Any], tools: Sequence[Tool]) -> ollama.Message:
        functions: Mapping[str, Tool] = {tool.__name__: tool for tool in tools}
        for _ in range(4):
            message: ollama.Message = following(client, messages, tools)
            messages.append(message)
            if not message.tool_calls:
                return message
            for call in message.tool_calls:
                result = functions[call.function.name](**call.function.arguments)
                name = call.function.name
                messages.append({"role": "tool", "tool_name": name, "content": str(result)})
        raise AssertionError(messages)

    return loop


Answer = Callable[[list[Any], Sequence[Tool]], ollama.Message]


def called(messages: list[Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The calls in a conversation: names and arguments."""
    return [
        (call.function.name, call.function.arguments)
        for message in messages
        if isinstance(message, ollama.Message)
        for call in message.tool_calls or []
    ]


def test_one_tool_is_called_once(answer: Answer) -> None:
    messages = [user("What's the temperature in New York?")]
    assert "22" in (answer(messages, [get_temperature]).content or "")
    assert called(messages) == [("get_temperature", {"city": "New York"})]


def test_one_tool_is_called_twice_at_once(answer: Answer) -> None:
    messages = [user("What is the temperature in Oslo and London?")]
    told = answer(messages, [get_temperature]).content or ""
    assert called(messages) == [
        ("get_temperature", {"city": "Oslo"}),
        ("get_temperature", {"city": "London"}),
    ]
    assert "12" in told
    assert "15" in told
    assert len(messages) == 5


def test_two_tools_are_called_at_once(answer: Answer) -> None:
    messages = [user("What is the weather in Oslo? And what time is it in Rome?")]
    told = answer(messages, [get_weather, get_time]).content or ""
    assert called(messages) == [("get_weather", {"city": "Oslo"}), ("get_time", {"city": "Rome"})]
    assert "rain" in told
    assert "11:45" in told


def test_numbers_are_handed_to_a_tool_that_calculates(answer: Answer) -> None:
    messages = [user("What is 12 times 7?")]
    assert "84" in (answer(messages, [multiply]).content or "")
    assert called(messages) == [("multiply", {"a": 12, "b": 7})]


def test_an_agent_goes_on_over_many_turns(answer: Answer) -> None:
    tools = [get_weather, get_time]
    messages: list[Any] = []
    for question, expected in (
        ("What is the weather in Oslo?", "rain"),
        ("And Rome?", "sun"),
        ("What time is it in Rome?", "11:45"),
        ("What is the capital of Norway?", "Oslo"),
    ):
        messages.append(user(question))
        assert expected in (answer(messages, tools).content or ""), messages
    assert [name for name, _ in called(messages)] == ["get_weather", "get_weather", "get_time"]


def test_thoughts_come_before_the_answer_in_a_stream(client: ollama.Client) -> None:
    parts = [part.message for part in client.chat("tinychat", [user(SUM)], think=True, stream=True)]
    thoughts = [place for place, message in enumerate(parts) if message.thinking]
    words = [place for place, message in enumerate(parts) if message.content]
    assert max(thoughts) < min(words)
    assert "7 + 8 = 15" in "".join(message.thinking or "" for message in parts)
    assert "75" in "".join(message.content or "" for message in parts)


def test_gathered_thoughts_go_into_the_next_question(answer: Answer) -> None:
    messages = [user(SUM)]
    assert (answer(messages, []).thinking or "").startswith("27 + 48")
    messages.append(user(FRANCE))
    assert answer(messages, []).content == PARIS


def test_a_form_of_pydantic_is_filled_in(client: ollama.Client) -> None:
    form = Person.model_json_schema()
    filled = client.chat("tinychat", [user(MARIA)], format=form, think=False).message.content or ""
    assert Person.model_validate_json(filled) == Person(name="Maria", age=34)
    parts = client.generate("tinychat", MARIA, format=form, think=False, stream=True)
    assert Person.model_validate_json("".join(part.response or "" for part in parts)).age == 34


def test_the_nearest_text_is_found(client: ollama.Client) -> None:
    vectors = client.embed("all-minilm", TEXTS).embeddings
    assert_nearness(vectors)
    (question,) = client.embed("all-minilm", "What happened at the bank?").embeddings
    assert max(range(3), key=lambda place: near(question, vectors[place])) == 2


async def test_the_client_that_waits_for_nobody(url: str) -> None:
    async with ollama.AsyncClient(url, timeout=120) as client:
        whole = await client.chat("tinychat", [user(FRANCE)])
        assert whole.message.content == PARIS
        parts = await client.chat("tinychat", [user(FRANCE)], stream=True)
        assert "".join([part.message.content or "" async for part in parts]) == PARIS
        assert_nearness((await client.embed("all-minilm", TEXTS)).embeddings)
