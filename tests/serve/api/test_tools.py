"""Calls of tools over HTTP: their form is told from the template, and agents get to an answer."""

import re
from collections.abc import Iterator
from typing import Any

import ollama
import pytest

from modelkit.store import Store
from tests.serve.api.harness import Server, running
from tests.serve.scripted import add_script

GO = """{{ range .Tools }}{{ .Function.Name }} {{ end }}{{ range .Messages }}
{{- if .ToolCalls }}<tool_call>{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": \
{{ .Function.Arguments }}}{{ end }}</tool_call>{{ end }}
{{- if eq .Role "tool" }}result: {{ .Content }} <answer>{{ else }}{{ .Content }}<ask>{{ end }}
{{- end }}"""
THINKING = "{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ end }}"
OSLO = ["Let me", " see. ", "<tool", "_call>", '{"name": "get_', 'weather", "arguments": {"city":']
REST = [' "Oslo"}}', "</tool_call>", '\n<tool_call>{"name":', ' "add", "arguments": {"a": 1.5}}']
ANSWER = ["It is", " sunny."]
JINJA = (
    "{{ tools }}{% for m in messages %}{% if m.tool_calls %}TAG{{ m.tool_calls }}{% endif %}"
    "{{ m.content }}{% endfor %}<ask>"
)
HERMES = ["<tool_call>", '\n{"name": "get_weather", "arguments"', ': {"city": "Oslo"}}', "\n</tool"]
MISTRAL = ["[TOOL_CALLS]", ' [{"name": "get_weather", "arguments"', ': {"city": "Oslo"}}', "]"]
LLAMA = ['{"name": "get_weather", ', '"parameters": {"city": "Oslo"}}']
USER = [{"role": "user", "content": "How is Oslo?"}]


def tool(name: str, *parameters: str) -> dict[str, Any]:
    properties = {parameter: {"type": "string"} for parameter in parameters}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS = [tool("get_weather", "city"), tool("add", "a", "b")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("scripts")
    store = Store(folder / "models")
    add_script(store, folder, "agent", {"<ask>": [*OSLO, *REST], "<answer>": ANSWER}, GO)
    thoughts = ["<think>", "Hm.", "</think>", "Well. ", "<tool_call>", '{"name": "add"}']
    add_script(store, folder, "thinker", {"<ask>": thoughts}, THINKING + GO)
    add_script(store, folder, "broken", {"<ask>": ["<tool_call>", '{"name": "add", ', "oops"]}, GO)
    for name, script in (("hermes", HERMES), ("mistral", MISTRAL), ("llama", LLAMA)):
        jinja = JINJA.replace("TAG", script[0] if name != "llama" else "")
        add_script(store, folder, name, {"<ask>": script}, "", jinja)
    with running(store) as server:
        yield server


def ask(server: Server, **body: Any) -> list[Any]:
    request = {"model": "agent", "messages": USER, "tools": TOOLS} | body
    answer = server.post("/api/chat", request)
    assert answer.status == 200, answer.body
    return answer.lines


def calls(lines: list[Any]) -> list[tuple[int, str, dict[str, Any]]]:
    found = [call for line in lines for call in line["message"].get("tool_calls", [])]
    assert all(re.fullmatch("call_[a-z0-9]{8}", call["id"]) for call in found)
    assert len({call["id"] for call in found}) == len(found)
    functions = [call["function"] for call in found]
    return [(call["index"], call["name"], call["arguments"]) for call in functions]


def content(lines: list[Any]) -> str:
    return "".join(line["message"]["content"] for line in lines)


BOTH = [(0, "get_weather", {"city": "Oslo"}), (1, "add", {"a": 1.5})]


def test_calls_and_the_text_before_them_arrive(server: Server) -> None:
    [whole] = ask(server, stream=False)
    assert (content([whole]), calls([whole])) == ("Let me see. ", BOTH)
    assert whole["done_reason"] == "stop"
    assert list(whole["message"]) == ["role", "content", "tool_calls"]
    assert list(whole["message"]["tool_calls"][0]) == ["id", "function"]
    assert list(whole["message"]["tool_calls"][0]["function"]) == ["index", "name", "arguments"]


def test_a_stream_has_each_call_as_soon_as_it_is_whole(server: Server) -> None:
    lines = ask(server)
    assert (content(lines), calls(lines)) == ("Let me see. ", BOTH)
    assert [sorted(line["message"]) for line in lines] == [
        ["content", "role"],
        ["content", "role"],
        ["content", "role", "tool_calls"],
        ["content", "role", "tool_calls"],
        ["content", "role"],
    ]
    assert [line["done"] for line in lines] == [False] * 4 + [True]


def test_without_tools_a_call_is_only_text(server: Server) -> None:
    lines = ask(server, tools=[])
    assert content(lines) == "".join([*OSLO, *REST])
    assert calls(lines) == []


def test_a_tool_that_was_not_offered_is_not_called(server: Server) -> None:
    lines = ask(server, tools=TOOLS[1:])
    assert (content(lines), calls(lines)) == ("Let me see. ", [(0, "add", {"a": 1.5})])
    other = ask(server, tools=[tool("other")])
    assert (content(other), calls(other)) == ("".join([*OSLO, *REST]), [])


def test_a_call_that_is_no_json_is_shown_as_it_is(server: Server) -> None:
    lines = ask(server, model="broken")
    assert (content(lines), calls(lines)) == ('<tool_call>{"name": "add", oops', [])


def test_thoughts_text_and_calls_go_together(server: Server) -> None:
    [whole] = ask(server, model="thinker", stream=False)
    assert whole["message"]["thinking"] == "Hm."
    assert (content([whole]), calls([whole])) == ("Well. ", [(0, "add", {})])


@pytest.mark.parametrize("model", ["hermes", "mistral", "llama"])
def test_the_form_is_told_from_a_jinja_template_too(server: Server, model: str) -> None:
    lines = ask(server, model=model)
    assert (content(lines), calls(lines)) == ("", BOTH[:1])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"tools": [{"type": "function", "function": {"name": 5}}]}, "not a valid tool"),
        ({"tools": "get_weather"}, "json: cannot unmarshal string"),
    ],
)
def test_what_is_no_tool_is_refused(server: Server, body: dict[str, Any], message: str) -> None:
    answer = server.post("/api/chat", {"model": "agent", "messages": USER} | body)
    assert answer.status == 400, answer.body
    assert answer.error.startswith(message)


def test_an_agent_asks_and_answers_with_ollamas_client(server: Server) -> None:
    def get_weather(city: str) -> str:
        """The weather in a city.

        Args:
            city: The city
        """
        return f"sunny in {city}"

    messages: list[Any] = list(USER)
    with server.client() as client:
        first = client.chat("agent", messages, tools=[get_weather])
        assert first.message.tool_calls
        messages.append(first.message)
        for call in first.message.tool_calls:
            assert call.function.name == "get_weather"
            result = get_weather(**call.function.arguments)
            messages.append({"role": "tool", "tool_name": call.function.name, "content": result})
        last = client.chat("agent", messages, tools=[get_weather])
    assert last.message.content == "It is sunny."
    assert not last.message.tool_calls


def test_ollamas_client_streams_calls(server: Server) -> None:
    with server.client() as client:
        parts = list(client.chat("agent", USER, tools=TOOLS, stream=True))
    found = [call.function.name for part in parts for call in part.message.tool_calls or []]
    assert found == ["get_weather", "add"]
    assert isinstance(parts[0], ollama.ChatResponse)
