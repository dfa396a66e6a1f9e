"""Ollama's layer over Go templates."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkit.templates import TemplateError
from modelkit.templates.collate import collate, system_text
from modelkit.templates.detect import go_traits
from modelkit.templates.images import with_image_tags
from modelkit.templates.messages import Message
from modelkit.templates.prompt import PromptTemplate, Think, prompt_template
from modelkit.templates.tools import Tools


def talk(*turns: str) -> list[Message]:
    """Messages from texts like `user: Hi`."""
    pairs = (turn.split(": ", 1) for turn in turns)
    return [Message(role=role, content=content) for role, content in pairs]


def render(source: str, *turns: str, think: Think | None = None) -> str:
    return PromptTemplate(source).render(talk(*turns), think=think)


def test_neighbours_of_one_role_become_one_message() -> None:
    messages = talk("user: a", "user: b", "tool: c", "tool: d", "user: e")
    assert [(m.role, m.content) for m in collate(messages)] == [
        ("user", "a\n\nb"),
        ("tool", "c"),
        ("tool", "d"),
        ("user", "e"),
    ]
    assert messages[0].content == "a"


def test_the_system_text_is_that_of_all_system_messages() -> None:
    assert system_text(talk("system: a", "user: x", "system: b")) == "a\n\nb"


# ---- Templates over messages ----


def test_messages_and_the_system_text_are_variables() -> None:
    source = "{{ .System }}|{{ range .Messages }}{{ .Role }}={{ .Content }};{{ end }}"
    assert render(source, "system: s", "user: a", "user: b", "system: t") == (
        "s\n\nt|system=s;user=a\n\nb;system=t;"
    )


def test_the_response_is_empty_in_a_template_over_messages() -> None:
    source = "{{ range .Messages }}{{ .Content }}{{ end }}[{{ .Response }}]tail"
    assert render(source, "user: a", "assistant: b") == "ab[]tail"


def test_tools_are_a_variable() -> None:
    template = PromptTemplate("{{ if .Tools }}{{ .Tools }}{{ else }}none{{ end }}{{ .Messages }}")
    tools = Tools.of([{"type": "function", "function": {"name": "f"}}])
    assert template.render([], tools=tools).startswith('[{"type":"function","function":{"name":"f"')
    assert template.render([]).startswith("none")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "false  false"),
        (False, "false  true"),
        (True, "true medium true"),
        ("high", "true high true"),
    ],
)
def test_thinking_is_three_variables(value: bool | str | None, expected: str) -> None:
    source = "{{ .Think }} {{ .ThinkLevel }} {{ .IsThinkSet }}"
    assert render(source + "{{ range .Messages }}{{ end }}", think=Think(value)) == expected
    assert render(source, "user: a", think=Think(value)) == expected
    assert PromptTemplate(source).insert("a", "b", think=Think(value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {}),
        (False, {"enable_thinking": False}),
        (True, {"enable_thinking": True}),
        ("low", {"enable_thinking": True, "reasoning_effort": "low"}),
    ],
)
def test_thinking_is_up_to_two_arguments_in_jinja(
    value: bool | str | None, expected: dict[str, object]
) -> None:
    assert Think(value).arguments() == expected


# ---- Templates over one turn ----

LEGACY = "{{ if .System }}S:{{ .System }} {{ end }}{{ if .Prompt }}U:{{ .Prompt }} {{ end }}A:"
WHOLE = LEGACY + "{{ .Response }}."


def test_a_template_is_run_once_a_turn() -> None:
    turns = ("system: s", "user: a", "assistant: b", "user: c")
    assert render(WHOLE, *turns) == "S:s U:a A:b.U:c A:"


def test_the_response_comes_last_when_a_template_has_none() -> None:
    assert render("{{ .System }} {{ .Prompt }}", "system: s", "user: a", "assistant: b") == "s ab"
    assert render(LEGACY, "user: a", "assistant: b", "user: c") == "U:a A:bU:c A:"
    assert render("{{ .Prompt }} {", "user: a", "assistant: b", "user: c") == "a {bc {"


def test_an_answer_at_the_end_is_the_beginning_of_the_next() -> None:
    assert render(WHOLE, "user: a", "assistant: b") == "U:a A:b"


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        (("user: a", "system: s", "user: b"), "U:a A:.S:s U:b A:"),
        (("assistant: x", "system: s"), "A:x.S:s A:"),
        (("system: s", "system: t", "user: a"), "S:s\n\nt U:a A:"),
        (("assistant: x", "user: a"), "A:x.U:a A:"),
        (("user: a", "tool: r", "user: b"), "U:b A:"),
        (("user: a", "tool: r", "assistant: b"), "U:a A:b"),
        ((), "A:"),
    ],
)
def test_a_turn_ends_where_the_next_system_or_user_message_needs_room(
    turns: tuple[str, ...], expected: str
) -> None:
    assert render(WHOLE, *turns) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ .Prompt }}>{{ .Response }}<end{{ .System }}",
        "{{ .Prompt }}>{{ .Response -}} <end",
        "{{ .Prompt }}{{ if true }}>{{ .Response }}<{{ if true }}end{{ end }}{{ end }}end",
        "{{ .Prompt }}>{{ if .No }}{{ else if true }}{{ .Response }}x{{ end }}",
        "{{ .Prompt }}>{{ range $r := .Nothing }}x{{ else }}{{ .Response }}y{{ end }}z",
        '{{ .Prompt }}{{ template "a" . }}{{ .Response }}x{{ define "a" }}>{{ end }}y',
        "{{ .Prompt }}>{{ if .Response }}{{ .Response }}x{{ end }}",
        '{{ .Prompt }}>{{ printf "%s" .Response }}x',
    ],
)
def test_nothing_that_follows_the_response_is_in_the_prompt(source: str) -> None:
    assert render(source, "user: a") == "a>"
    assert render(source, "user: a", "assistant: b") == "a>b"


def test_an_alternative_to_the_response_survives_the_cut() -> None:
    source = "{{ .Prompt }}{{ if .System }}+{{ .Response }}x{{ else }}-{{ .Response }}y{{ end }}z"
    assert render(source, "system: s", "user: a") == "a+"


# ---- Insertion ----


def test_insertion_sees_the_two_texts() -> None:
    source = "<PRE>{{ .Prompt }}<SUF>{{ .Suffix }}<MID>{{ .System }}{{ .Response }}"
    assert PromptTemplate(source).insert("a", "b") == "<PRE>a<SUF>b<MID><no value>"


# ---- Errors ----


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ if .Prompt }}", "unexpected EOF"),
        ("{{ .Prompt", "unclosed action"),
        ("{{ Prompt }}", "not defined"),
        ('{{ template "x" }}', "undefined template specified"),
    ],
)
def test_a_template_that_does_not_parse_is_refused(source: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        prompt_template(source)
    assert caught.value.stage == "parse"


def test_a_template_that_fails_says_where() -> None:
    with pytest.raises(TemplateError) as caught:
        render("{{ .Prompt }}\n{{ slice .Prompt 5 }}", "user: a")
    assert (caught.value.stage, caught.value.line) == ("execute", 2)


def test_what_is_not_there_prints_as_go_says() -> None:
    assert render("{{ .Foo }}{{ if .Foo }}x{{ end }}", "user: a") == "<no value>"


def test_a_parsed_template_is_kept() -> None:
    assert prompt_template(WHOLE) is prompt_template(WHOLE)


# ---- Images ----


def test_images_are_numbered_in_place_or_in_front() -> None:
    messages = [
        Message(role="user", content="a [img] b [img]", images=["x", "y"]),
        Message(role="user", content="c"),
        Message(role="user", content="d [img]", images=["x", "y"]),
        Message(role="user", content="e", images=["x", "y"]),
    ]
    tagged = [message.content for message in with_image_tags(messages)]
    assert tagged == ["a [img-0] b [img-1]", "c", "[img-3]d [img-2]", "[img-4][img-5]e"]
    assert messages[0].content == "a [img] b [img]"


# ---- Whatever is thrown at it ----

ROLES = st.sampled_from(["system", "user", "assistant", "tool", "", "x"])
MESSAGES = st.lists(st.builds(Message, role=ROLES, content=st.text(max_size=5)), max_size=6)
PARTS = st.sampled_from(
    [
        *("{{ .Response }}", "{{ .Prompt }}", "{{ .System }}", "{{ .Messages }}", "a", " ", "\n"),
        *("{{ if .System }}", "{{ else }}", "{{ end }}", "{{ range .Messages }}", "{{ .Content }}"),
        *("{{ with .Prompt }}", "{{- .Response -}}", '{{ define "d" }}', '{{ template "d" . }}'),
        *("{{ else if .Response }}", "{{ .ToolCalls }}", "{{ .Thinking }}", "{{", "}}", "{{ . }}"),
    ]
)


@given(parts=st.lists(PARTS, max_size=14), messages=MESSAGES)
@settings(max_examples=600, deadline=None)
def test_a_template_renders_or_is_a_template_error(
    parts: list[str], messages: list[Message]
) -> None:
    source = "".join(parts)
    with suppress(TemplateError):
        PromptTemplate(source).render(messages)
    traits = go_traits(source)
    assert isinstance(traits.capabilities, list)


@given(
    turns=st.lists(st.tuples(st.text("ab", min_size=1), st.text("cd", min_size=1)), max_size=4),
    last=st.text("ef", min_size=1),
    begun=st.text("gh"),
)
@settings(max_examples=200, deadline=None)
def test_turns_follow_each_other_and_the_last_is_open(
    turns: list[tuple[str, str]], last: str, begun: str
) -> None:
    template = PromptTemplate("<{{ .Prompt }}|{{ .Response }}>")
    said = [
        Message(role=role, content=text)
        for turn in [*turns, (last, begun)]
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    whole = "".join(f"<{prompt}|{response}>" for prompt, response in turns)
    assert template.render(said) == f"{whole}<{last}|{begun}"
