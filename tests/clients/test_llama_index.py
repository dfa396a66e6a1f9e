"""LlamaIndex's integration of Ollama: chat, tools, agents, structured output and embeddings."""

from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.ollama import OllamaEmbedding
from llama_index.llms.ollama import Ollama

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

# LlamaIndex itself calls what pydantic has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
# LlamaIndex never closes its connections: this way each ends with its answer.
CLOSING = {"Connection": "close"}
WEATHER = FunctionTool.from_defaults(get_weather, description="Get the weather in a city")


@pytest.fixture
def model(url: str) -> Ollama:
    return llm(url)


def llm(url: str, **settings: Any) -> Ollama:
    return Ollama("tinychat", base_url=url, request_timeout=120, headers=CLOSING, **settings)


def test_a_question_is_answered(model: Ollama) -> None:
    assert model.complete(FRANCE).text == PARIS
    answer = model.chat([ChatMessage(FRANCE)])
    assert answer.message.content == PARIS
    assert answer.raw["usage"]["completion_tokens"] > 0


def test_an_answer_is_streamed(model: Ollama) -> None:
    parts = list(model.stream_chat([ChatMessage(FRANCE)]))
    assert "".join(part.delta or "" for part in parts) == PARIS
    assert parts[-1].message.content == PARIS
    assert len(parts) > 3


async def test_an_answer_is_streamed_in_a_loop(model: Ollama) -> None:
    parts = await model.astream_chat([ChatMessage(FRANCE)])
    assert "".join([part.delta or "" async for part in parts]) == PARIS


def test_its_own_window_is_read_from_the_server(model: Ollama) -> None:
    assert model.metadata.context_window >= 2048


def test_thoughts_stand_apart(url: str) -> None:
    answer = llm(url, thinking=True).chat([ChatMessage(SUM)])
    thought, text = answer.message.blocks
    assert "7 + 8 = 15" in thought.content
    assert "75" in text.text


def test_a_tool_is_called_with_its_arguments(model: Ollama) -> None:
    answer = model.chat_with_tools([WEATHER], "What is the weather in Oslo?")
    (call,) = model.get_tool_calls_from_response(answer)
    assert (call.tool_name, call.tool_kwargs) == ("get_weather", {"city": "Oslo"})
    result = model.predict_and_call([WEATHER], "What is the weather in Oslo?")
    assert "rain" in str(result)


async def test_an_agent_calls_a_tool_and_tells_its_result(model: Ollama) -> None:
    agent = FunctionAgent(tools=[WEATHER], llm=model)
    told = await agent.run("What is the weather in Oslo?")
    assert [call.tool_kwargs for call in told.tool_calls] == [{"city": "Oslo"}]
    assert "rain" in str(told)


def test_a_form_is_filled_in(url: str) -> None:
    model = llm(url, thinking=False).as_structured_llm(Person)
    assert model.complete(MARIA).raw == Person(name="Maria", age=34)
    *_, last = model.stream_chat([ChatMessage(MARIA)])
    assert last.raw.age == 34


def test_texts_are_embedded(url: str) -> None:
    model = OllamaEmbedding("all-minilm", url, client_kwargs={"headers": CLOSING})
    vectors = model.get_text_embedding_batch(TEXTS)
    assert_nearness(vectors)
    assert near(model.get_query_embedding(TEXTS[0]), vectors[0]) > 0.999


async def test_texts_are_embedded_in_a_loop(url: str) -> None:
    model = OllamaEmbedding("all-minilm", url, client_kwargs={"headers": CLOSING})
    assert_nearness(await model.aget_text_embedding_batch(TEXTS))
