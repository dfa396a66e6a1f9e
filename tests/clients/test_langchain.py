"""LangChain's integration of Ollama: chat, tools, structured output and embeddings."""

from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings

from tests.clients.shared import FRANCE, MARIA, PARIS, SUM, TEXTS, Person, assert_nearness, near

# LangChain never closes its connections: this way each ends with its answer.
CLOSING: dict[str, Any] = {"headers": {"Connection": "close"}}


@tool
def get_weather(city: str) -> str:
    """Get the weather in a city"""
    return f"rain in {city}"


def chat(url: str, model: str = "tinychat", **settings: Any) -> ChatOllama:
    return ChatOllama(model=model, base_url=url, client_kwargs=CLOSING, **settings)


def test_a_question_is_answered(url: str) -> None:
    answer = chat(url).invoke(FRANCE)
    assert answer.content == PARIS
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] > 0
    assert answer.response_metadata["done_reason"] == "stop"


def test_an_answer_is_streamed(url: str) -> None:
    parts = [str(part.content) for part in chat(url).stream(FRANCE)]
    assert "".join(parts) == PARIS
    assert len([part for part in parts if part]) > 3


async def test_an_answer_is_streamed_in_a_loop(url: str) -> None:
    assert "".join([str(part.content) async for part in chat(url).astream(FRANCE)]) == PARIS


def test_thoughts_stand_apart(url: str) -> None:
    answer = chat(url, reasoning=True).invoke(SUM)
    assert "7 + 8 = 15" in answer.additional_kwargs["reasoning_content"]
    assert "75" in str(answer.content)


def test_an_agent_calls_a_tool_and_tells_its_result(url: str) -> None:
    agent = chat(url, "agent").bind_tools([get_weather])
    question = HumanMessage("How is Oslo?")
    calling = agent.invoke([question])
    (call,) = calling.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Oslo"})
    result = get_weather.invoke(call)
    assert isinstance(result, ToolMessage)
    assert agent.invoke([question, calling, result]).content == "It rains in Oslo."


def test_a_form_is_filled_in(url: str) -> None:
    model = chat(url, reasoning=False).with_structured_output(Person)
    assert model.invoke(MARIA) == Person(name="Maria", age=34)


def test_texts_are_embedded(url: str) -> None:
    embeddings = OllamaEmbeddings(model="all-minilm", base_url=url, client_kwargs=CLOSING)
    vectors = embeddings.embed_documents(TEXTS)
    assert_nearness(vectors)
    assert near(embeddings.embed_query(TEXTS[0]), vectors[0]) > 0.999
