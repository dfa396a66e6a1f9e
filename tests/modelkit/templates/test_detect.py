"""What templates can do, and which of two is used."""

import time

import pytest

from modelkit.manifest import ModelConfig
from modelkit.templates import GoTemplate
from modelkit.templates.choice import named_templates, pick_template, uses_go
from modelkit.templates.detect import (
    Traits,
    go_traits,
    jinja_traits,
    prefers_jinja,
    think_tags,
    tool_tag,
)
from tests.modelkit.templates.families import text

THINKS = "{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ end }}"
TOOLS = "{{ .Tools }}{{ range .Messages }}{{ .Content }}{{ end }}"
ROUND_TRIP = (
    TOOLS + '{{ range .Messages }}{{ .ToolCalls }}{{ if eq .Role "tool" }}{{ end }}{{ end }}'
)
JINJA_ROUND_TRIP = "{% if tools %}{{ message.tool_calls }}<tool_response>{% endif %}"


# ---- Go templates ----


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ .Prompt }}", []),
        ("{{ .Prompt }}{{ .Suffix }}", ["insert"]),
        ("{{ if $.Tools }}{{ end }}{{ .Suffix }}", ["tools", "insert"]),
        ("{{ $tools := 1 }}", []),
        ('{{ define "a" }}{{ .Tools }}{{ end }}', ["tools"]),
        (THINKS, ["thinking"]),
        ("{{ range .Messages }}{{ .Thinking }}{{ end }}", []),
        ('.Tools {{ ".Tools" }} {{ `{{ .Tools }}` }} {{/* .Tools */}}', []),
        ("{{ .Tools", []),
    ],
)
def test_capabilities_of_a_go_template(source: str, expected: list[str]) -> None:
    assert go_traits(source).capabilities == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chatml", Traits()),
        ("qwen2.5", Traits(tools=True, round_trip=True)),
        ("llama3.1", Traits(tools=True, round_trip=True)),
        ("mistral-tools", Traits(tools=True, round_trip=True)),
        ("qwen3", Traits(thinking=True)),
        ("deepseek-r1", Traits(thinking=True)),
    ],
)
def test_capabilities_of_families(name: str, expected: Traits) -> None:
    assert go_traits(text(f"{name}.gotmpl")) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (THINKS, ("<think>", "</think>")),
        (
            "{{ range $i, $m := .Messages }}{{ if eq .Role `x` }}a{{ else if .Thinking }}\n"
            "<thinking>\n{{ .Thinking }}\n</thinking>\n{{ end }}{{ end }}",
            ("<thinking>", "</thinking>"),
        ),
        ("{{ range $m := $.Messages }}a{{ .Thinking }}b{{ end }}", None),
        ("{{ range .Messages }}a{{ .Thinking }}b{{ end }}", ("a", "b")),
        ("{{ range .Messages }}a{{ range .X }}<{{ .Thinking }}>{{ end }}b{{ end }}", None),
        ("a{{ .Thinking }}b", None),
        ("{{ range .Messages }}{{ if .Thinking }}a{{ .Thinking }}{{ end }}{{ end }}", None),
        ("{{ range .Messages }} {{ .Thinking }} {{ end }}", None),
        ("{{ range .Messages }}a{{ if .Thinking }} {{ .Thinking }} {{ end }}b{{ end }}", None),
        ("{{ range .Messages }}{{/* c */}}a{{ .Thinking }}b{{/* c */}}{{ end }}", ("a", "b")),
    ],
)
def test_think_tags_stand_around_the_thinking(
    source: str, expected: tuple[str, str] | None
) -> None:
    assert think_tags(GoTemplate(source)) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ if .ToolCalls }}<tool_call>\n{{ range .ToolCalls }}{{ end }}{{ end }}", "<tool_call>"),
        (
            '{{ if .ToolCalls }}[TOOL_CALLS] [{{ range .ToolCalls }}{"name"{{ end }}{{ end }}',
            "[TOOL_CALLS] [",
        ),
        ('{{ if .ToolCalls }}```json\n{"name": {{ end }}', "```json"),
        ("{{ if .ToolCalls }}{{ range .ToolCalls }}[{{ end }}{{ end }}", "["),
        ('{{ if .ToolCalls }} functools[{"a"{{ end }}', "functools["),
        ("{{ if .ToolCalls }}Action: ```json\n{{ end }}", "Action: ```json"),
        ('{{ if .ToolCalls }}{"name": {{ end }}', "{"),
        ("{{ if .ToolCalls }}{{ .Content }}<tool>{{ end }}", "{"),
        ("{{ if .Content }}a{{ else if .ToolCalls }}<b>{{ end }}", "<b>"),
        (
            "{{ range .Messages }}{{ with .X }}{{ if and .Content .ToolCalls }}{{ if .Y }}<c>"
            "{{ end }}{{ end }}{{ end }}{{ end }}",
            "<c>",
        ),
        ("{{ if .A }}{{ if .ToolCalls }}<d>{{ end }}{{ else if .ToolCalls }}<e>{{ end }}", "<d>"),
        (
            "{{ range .X }}{{ else }}{{ if .A }}{{ end }}{{ if .ToolCalls }}f{{ end }}{{ end }}",
            "f",
        ),
        ("{{ .Tools }}", "{"),
    ],
)
def test_a_tool_tag_is_what_comes_before_the_calls(source: str, expected: str) -> None:
    assert tool_tag(GoTemplate(source)) == expected


def test_a_long_template_is_read_quickly() -> None:
    part = "a{{ .Thinking }}{{ if .ToolCalls }}{{ .Thinking }}{{ end }}b"
    source = "{{ range .Messages }}" + part * 1_500 + "{{ end }}"
    started = time.monotonic()
    assert go_traits(source) == Traits(thinking=True)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("part", ["{{", '{{ "', "{{ /*", "{{ `", '{{ "a" ', "{{ .a }}", '{{ "\\" '])
def test_a_hostile_template_is_read_quickly(part: str) -> None:
    started = time.monotonic()
    assert go_traits((part * 25_000)[:100_000]) == Traits()
    assert time.monotonic() - started < 3


# ---- Jinja ----


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ messages }}", Traits()),
        ("{% if tools %}", Traits(tools=True)),
        ("{{ tool_call }}", Traits(tools=True)),
        ("<think>{{ x }}</think>", Traits(thinking=True)),
        ("{{ content.split('</think>')[-1] }}", Traits(thinking=True)),
        ('{{ content.split( "</think>" ) }}', Traits(thinking=True)),
        ("{{ reasoning_content.split('</think>') }}", Traits()),
        ("<SPECIAL_12>{{ content.split('</think>') }}", Traits()),
        (JINJA_ROUND_TRIP, Traits(tools=True, round_trip=True)),
        ("tools tool_calls {% if m['role'] == 'tool' %}", Traits(tools=True, round_trip=True)),
        ('tools tool_calls {% if m.role=="tool" %}', Traits(tools=True, round_trip=True)),
        ("tools tool_calls ipython", Traits(tools=True, round_trip=True)),
        ("tools tool_calls", Traits(tools=True)),
        ("tools tool_response", Traits(tools=True)),
    ],
)
def test_capabilities_of_a_jinja_template(source: str, expected: Traits) -> None:
    assert jinja_traits(source) == expected


def test_a_gguf_may_carry_templates_by_name() -> None:
    metadata = {
        "tokenizer.chat_template": "a",
        "tokenizer.chat_template.tool_use": "b",
        "tokenizer.chat_template.rag": "c",
        "tokenizer.chat_templates": ["tool_use", "rag"],
        "general.name": "d",
    }
    templates = named_templates(metadata)
    assert templates == {"default": "a", "tool_use": "b", "rag": "c"}
    assert pick_template(templates, tools=False) == "a"
    assert pick_template(templates, tools=True) == "b"
    assert pick_template({"default": "a"}, tools=True) == "a"
    assert pick_template({}, tools=False) is None


# ---- Which of the two ----


@pytest.mark.parametrize(
    ("go", "jinja", "expected"),
    [
        (Traits(), Traits(), False),
        (Traits(), Traits(tools=True), True),
        (Traits(tools=True), Traits(thinking=True), False),
        (Traits(tools=True), Traits(tools=True, thinking=True), True),
        (Traits(tools=True, round_trip=True), Traits(tools=True, thinking=True), False),
        (
            Traits(tools=True, round_trip=True),
            Traits(tools=True, thinking=True, round_trip=True),
            True,
        ),
        (Traits(tools=True), Traits(tools=True), False),
        (Traits(tools=True), Traits(tools=True, round_trip=True), True),
        (Traits(tools=True, insert=True), Traits(tools=True, round_trip=True), True),
        (Traits(tools=True, round_trip=True), Traits(tools=True, round_trip=True), False),
        (Traits(thinking=True), Traits(thinking=True), False),
    ],
)
def test_the_template_that_can_do_more_is_used(go: Traits, jinja: Traits, expected: bool) -> None:
    assert prefers_jinja(go, jinja) is expected


@pytest.mark.parametrize(
    ("go", "jinja", "setting", "expected"),
    [
        (None, None, None, True),
        (None, "x", None, False),
        ("x", None, None, True),
        ("x", None, "0", True),
        (None, "x", "1", False),
        ("x", "x", None, True),
        ("x", "x", "0", False),
        ("x", "tools", None, False),
        ("x", "tools", "1", True),
        (TOOLS, JINJA_ROUND_TRIP, None, False),
        (ROUND_TRIP, JINJA_ROUND_TRIP, None, True),
    ],
)
def test_the_setting_decides_where_there_are_two(
    go: str | None,
    jinja: str | None,
    setting: str | None,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if setting is not None:
        monkeypatch.setenv("OLLAMA_GO_TEMPLATE", setting)
    assert uses_go(ModelConfig(), go, jinja) is expected


def test_the_format_of_gpt_oss_is_never_left_to_jinja() -> None:
    harmony = "<|start|>{{ .Prompt }}<|end|>"
    assert uses_go(ModelConfig(model_family="gptoss"), harmony, "tools")
    assert not uses_go(ModelConfig(model_family="llama"), harmony, "tools")


def test_a_model_with_a_renderer_is_described_by_its_gguf() -> None:
    config = ModelConfig(renderer="qwen3-coder")
    assert not uses_go(config, "{{ .Prompt }}", "{{ messages }}")
    assert uses_go(config, "{{ .Prompt }}", None)
