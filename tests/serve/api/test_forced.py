"""Calls that must be made, over HTTP: whatever a model would rather say, they come and obey."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from modelkit.store import Store
from tests.serve.api.harness import Server, add_model, derive, running
from tests.serve.scripted import add_script

CALLS = """{{ range .Tools }}{{ .Function.Name }} {{ end }}{{ range .Messages }}
{{- if .ToolCalls }}<tool_call>
{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
</tool_call>{{ end }}{{ end }}{{ .Content }}<ask>{{ end }}"""
BARE = CALLS.replace("<tool_call>\n", "").replace("</tool_call>", "").replace("arg", "param", 1)
THINKING = "{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ end }}"
CODER = (
    "{{ tools }}<tool_call><function=<parameter="
    "{% for m in messages %}{{ m.content }}<ask>{% endfor %}"
)
HARMONY = (
    "<|start|><|end|>{{ range .Tools }}{{ .Function.Name }} {{ end }}{{ range .Messages }}"
    "{{ range .ToolCalls }}{{ .Function.Name }} {{ end }}{{ .ToolName }}{{ .Content }}"
    "<|start|>assistant{{ end }}"
)
ANALYSIS = ["<|channel|>", "analysis", "<|message|>", "Hm.", "<|end|>", "<|start|>"]

SCHEMAS: dict[str, dict[str, Any]] = {
    "get-weather": {
        "type": "object",
        "properties": {
            "city": {"enum": ["Oslo", "Rome"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 9},
            "exact": {"type": "boolean"},
            "note": {"type": "string", "maxLength": 6},
        },
        "required": ["city", "days"],
    },
    "now": {"type": "object", "properties": {}},
}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": schema}}
    for name, schema in SCHEMAS.items()
]
STRICT = [{**tool, "function": {**tool["function"], "strict": True}} for tool in TOOLS]  # type: ignore[dict-item]
WEATHER = {"type": "function", "function": {"name": "get-weather"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("forced")
    store = Store(folder / "models")
    add_model(store, "base", tiny_llama)
    derive(store, "tagged", base="base", template=CALLS)
    derive(store, "bare", base="base", template=BARE)
    derive(store, "coder", base="base", template=CALLS, parser="qwen3-coder")
    add_script(store, folder, "chatty", {"<ask>": ["I would", " rather", " talk."]}, CALLS)
    eager = ["Let me see. ", "<tool_call>", "oops", "</tool_call>"]
    add_script(store, folder, "eager", {"<ask>": eager}, CALLS)
    thoughts = ["<think>", "Hm.", "</think>", "Well."]
    add_script(store, folder, "thinker", {"<ask>": thoughts}, THINKING + CALLS)
    xml = ["<tool_call>", "\n<function=now>", "\n</function>"]
    add_script(store, folder, "xml", {"<ask>": xml}, "", CODER)
    words = {"assistant": [*ANALYSIS], "x": ["<|call|>", "<|return|>"]}
    add_script(store, folder, "oss", words, HARMONY, parser="harmony")
    with running(store) as server:
        yield server


def ask(server: Server, model: str, **body: Any) -> Any:
    user = {"role": "user", "content": "How is Oslo?"}
    request = {"model": model, "messages": [user], "tools": TOOLS, "stream": False} | body
    answer = server.post("/api/chat", request)
    assert answer.status == 200, answer.body
    return answer.json


def calls(answer: Any) -> list[tuple[str, Any]]:
    """The calls, each of which obeys its schema."""
    functions = [call["function"] for call in answer["message"].get("tool_calls", [])]
    for function in functions:
        jsonschema.validate(function["arguments"], SCHEMAS[function["name"]])
    return [(function["name"], function["arguments"]) for function in functions]


@pytest.mark.parametrize("model", ["tagged", "bare", "coder"])
def test_a_model_of_random_weights_makes_valid_calls(server: Server, model: str) -> None:
    for turn in range(20):
        options = {"temperature": 1.5, "seed": turn, "num_ctx": 4096}
        choice = WEATHER if turn % 2 else "required"
        several = turn % 5 == 0
        answer = ask(
            server, model, tool_choice=choice, options=options, parallel_tool_calls=several
        )
        found = calls(answer)
        assert len(found) == 1 or (several and found), answer
        assert answer["message"]["content"] == ""
        if turn % 2:
            assert {name for name, _ in found} == {"get-weather"}


def test_a_model_that_would_rather_talk_calls(server: Server) -> None:
    assert ask(server, "chatty")["message"]["content"] == "I would rather talk."
    answer = ask(server, "chatty", tool_choice="required", parallel_tool_calls=False)
    assert len(calls(answer)) == 1
    assert answer["done_reason"] == "stop"
    [(name, _)] = calls(ask(server, "chatty", tool_choice=WEATHER, parallel_tool_calls=False))
    assert name == "get-weather"


def test_thoughts_come_before_a_forced_call(server: Server) -> None:
    answer = ask(server, "thinker", tool_choice="required", parallel_tool_calls=False)
    assert answer["message"]["thinking"] == "Hm."
    assert (answer["message"]["content"], len(calls(answer))) == ("", 1)


def test_a_strict_call_obeys_after_free_text(server: Server) -> None:
    assert ask(server, "chatty", tools=STRICT)["message"]["content"] == "I would rather talk."
    assert calls(ask(server, "eager")) == []
    answer = ask(server, "eager", tools=STRICT, parallel_tool_calls=False)
    assert answer["message"]["content"] == "Let me see. "
    assert len(calls(answer)) == 1


def test_the_tags_of_qwen3_coder_are_told_from_its_template(server: Server) -> None:
    answer = ask(server, "xml")
    assert (answer["message"]["content"], calls(answer)) == ("", [("now", {})])
    [(name, _)] = calls(ask(server, "xml", tool_choice=WEATHER, parallel_tool_calls=False))
    assert name == "get-weather"


def test_gpt_oss_knows_tools_as_identifiers(server: Server) -> None:
    answer = ask(server, "oss", tool_choice=WEATHER)
    assert answer["message"]["thinking"] == "Hm."
    assert [name for name, _ in calls(answer)] == ["get-weather"]
    called = {"function": {"name": "get-weather", "arguments": {}}}
    messages = [
        {"role": "assistant", "tool_calls": [called]},
        {"role": "tool", "tool_name": "get-weather", "content": "Rain"},
    ]
    shown = ask(server, "oss", messages=messages, _debug_render_only=True)
    prompt = shown["_debug_info"]["rendered_template"]
    assert prompt.count("get_weather ") == 2
    assert "get_weatherRain" in prompt
    assert "get-weather" not in prompt


def test_with_the_choice_of_none_the_model_knows_no_tools(server: Server) -> None:
    shown = ask(server, "tagged", tool_choice="none", _debug_render_only=True)
    assert "now" not in shown["_debug_info"]["rendered_template"]
    answer = ask(server, "xml", tool_choice="none")
    assert answer["message"]["content"].startswith("<tool_call>")
    assert calls(answer) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"tool_choice": "always"}, "tool_choice must be auto, none, required"),
        ({"tool_choice": {"type": "function"}}, "tool_choice must be auto, none, required"),
        ({"tool_choice": "required", "tools": []}, 'tool_choice is "required", but there are no'),
        ({"tool_choice": {"type": "function", "function": {"name": "x"}}}, 'tool_choice names "x"'),
        (
            {"tools": STRICT, "format": "json", "model": "bare"},
            "cannot be told from the format that is asked for",
        ),
    ],
)
def test_a_choice_that_cannot_be_is_refused(
    server: Server, body: dict[str, Any], message: str
) -> None:
    user = {"role": "user", "content": "Hi"}
    request = {"model": "tagged", "messages": [user], "tools": TOOLS} | body
    answer = server.post("/api/chat", request)
    assert answer.status == 400
    assert message in answer.error


@pytest.mark.parametrize("choice", ["required", "auto"])
def test_a_schema_that_cannot_be_enforced_is_refused_by_name(server: Server, choice: str) -> None:
    function = {"name": "f", "parameters": {"type": "object", "not": {}}, "strict": True}
    tools = [{"type": "function", "function": function}]
    user = {"role": "user", "content": "Hi"}
    body = {"model": "tagged", "messages": [user], "tools": tools, "tool_choice": choice}
    answer = server.post("/api/chat", body)
    assert answer.status == 400
    assert '"not" at #' in answer.error
    assert 'in the parameters of the tool "f"' in answer.error
