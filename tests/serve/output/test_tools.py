"""Calls of tools taken out of an answer that comes in pieces."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.serve.output.tools import tool_parser
from tests.serve.output.pieces import Sorted, cut, cuts, sort

TOOLS = ("get_weather", "get_weather_map", "hello", "add")
OSLO = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'
BERGEN = '{"name": "get_weather", "parameters": {"city": "Bergen"}}'
IN_OSLO = ("get_weather", {"city": "Oslo"})
IN_BERGEN = ("get_weather", {"city": "Bergen"})


def parse(tag: str, *pieces: str) -> Sorted:
    return sort(tool_parser(tag, TOOLS), pieces)


def check(tag: str, text: str, content: str, *calls: tuple[str, dict[str, Any]]) -> None:
    """The answer gives this content and these calls, whole and letter by letter."""
    expected = (content, "", [(index, *call) for index, call in enumerate(calls)])
    assert parse(tag, text) == expected
    assert parse(tag, *text) == expected


@pytest.mark.parametrize(
    ("text", "content", "calls"),
    [
        ("Hello there.", "Hello there.", []),
        (f"<tool_call>\n{OSLO}\n</tool_call>", "", [IN_OSLO]),
        (f"Let me see. <tool_call>{OSLO}</tool_call>", "Let me see. ", [IN_OSLO]),
        (
            f"<tool_call>{OSLO}</tool_call>\n<tool_call>{BERGEN}</tool_call>",
            "",
            [IN_OSLO, IN_BERGEN],
        ),
        (f"<tool_call>[{OSLO}, {BERGEN}]</tool_call>", "", [IN_OSLO, IN_BERGEN]),
        (f"<tool_call>{OSLO}</tool_call> There it is.", "", [IN_OSLO]),
        (f"<tool_call>{OSLO}}}</tool_call>", "", [IN_OSLO]),
        (f'<tool_call>{OSLO}<tool_call>{{"name": "get_w', "", [IN_OSLO]),
        ("a <tool_c fake", "a <tool_c fake", []),
        ("I would use the hello tool.", "I would use the hello tool.", []),
    ],
)
def test_calls_follow_a_tag(
    text: str, content: str, calls: list[tuple[str, dict[str, Any]]]
) -> None:
    check("<tool_call>", text, content, *calls)


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('{"name": "hello", "arguments": {}}', [("hello", {})]),
        ('{"name": "hello"}', [("hello", {})]),
        ('{"type": "function", "name": "hello"}', [("hello", {})]),
        ('{"arguments": {"a": 1, "b": 2}, "name": "add"}', [("add", {"a": 1, "b": 2})]),
        ('{"type": "function", "function": {"name": "hello", "arguments": {}}}', [("hello", {})]),
        ('{"tool_calls": [{"name": "hello", "arguments": {"x": [1]}}]}', [("hello", {"x": [1]})]),
        ('{"tool_name": "get_weather", "parameters": {"city": "Oslo"}}', [IN_OSLO]),
        ('{"get_weather": {"city": "Oslo"}}', [IN_OSLO]),
        ('{"get_weather": "{\\"city\\": \\"Oslo\\"}"}', [IN_OSLO]),
        ('{"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}', [IN_OSLO]),
        ('get_weather\n```json\n{"city": "Oslo"}\n```', [IN_OSLO]),
        ('get_weather_map{"city": "Oslo"}', [("get_weather_map", {"city": "Oslo"})]),
        ('hello[ARGS]{"name": "Ann"}', [("hello", {"name": "Ann"})]),
        (
            '{"name": "add", "arguments": {"a": "if (x) { return \\"}\\"; }"}}',
            [("add", {"a": 'if (x) { return "}"; }'})],
        ),
        ('{"name": "add", "arguments": {"p": "C:\\\\{x}\\\\"}}', [("add", {"p": "C:\\{x}\\"})]),
        ('{"name": "add", "arguments": {"u": "\\u007b"}}', [("add", {"u": "{"})]),
    ],
)
def test_a_call_has_many_forms(text: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    check("[TOOL_CALLS]", f"[TOOL_CALLS]{text}", "", *calls)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "search", "arguments": {"query": "hello"}}',
        '{"name": "search", "arguments": {"hello": {"a": 1}}}',
        '{"name": "get_weather", "arguments": ["Oslo"]}',
        '{"name": "get_weather", "arguments": "Oslo"}',
        '{"name": "get_weather", "city": "Oslo"}',
        '{"name": "get_weather", "arguments": {"city": Oslo}}',
        '{"name": "get_weather", "arguments": {"city": "Os',
        '{"name": "hello", "arguments": {"n": NaN}}',
        '{"name": "hello", "arguments": {"n": "\\ud800"}}',
        '{"a": {"b": ' * 600 + "}" * 1_200,
        "no object",
        "{}",
        "",
    ],
)
def test_an_answer_without_a_call_is_not_lost(text: str) -> None:
    for tag in ("<tool_call>", "{", "["):
        check(tag, f"{tag}{text}", f"{tag}{text}")


@pytest.mark.parametrize(
    ("tag", "text", "content", "calls"),
    [
        ("{", OSLO, "", [IN_OSLO]),
        ("{", f"\n {OSLO}\n", "\n ", [IN_OSLO]),
        ("{", f"{OSLO}{BERGEN}", "", [IN_OSLO, IN_BERGEN]),
        ("{", f"{OSLO}; {BERGEN}", "", [IN_OSLO, IN_BERGEN]),
        ("{", f"{OSLO}\nThere.", "There.", [IN_OSLO]),
        ("{", f"{OSLO}}}", "", [IN_OSLO]),
        ("{", f'{{"name": "jeff"}}{OSLO}', f'{{"name": "jeff"}}{OSLO}', []),
        ("{", f'{OSLO}{{"name": "jeff"}}', '{"name": "jeff"}', [IN_OSLO]),
        ("{", f"Here: {OSLO}", f"Here: {OSLO}", []),
        ("{", "for { print }", "for { print }", []),
        ("{", f"[{OSLO}]", f"[{OSLO}]", []),
        ("[", f"[{OSLO},\n{BERGEN}]", "", [IN_OSLO, IN_BERGEN]),
        ("[", f"[{OSLO}", "", [IN_OSLO]),
        ("[", f"[{OSLO}]]", "", [IN_OSLO]),
        ("[", f"[{OSLO}] done", "done", [IN_OSLO]),
        ("[", "[special delivery]", "[special delivery]", []),
        ("[", "[]", "[]", []),
        ("[", "[] is a list", "[] is a list", []),
    ],
)
def test_bare_calls_are_the_whole_answer(
    tag: str, text: str, content: str, calls: list[tuple[str, dict[str, Any]]]
) -> None:
    check(tag, text, content, *calls)


def test_the_longest_of_two_names_counts_wherever_the_text_is_cut() -> None:
    text = '<tool_call>get_weather_map({"x": 1})'
    for place in range(len(text)):
        _, _, calls = parse("<tool_call>", text[:place], text[place:])
        assert calls == [(0, "get_weather_map", {"x": 1})]


def test_a_call_comes_as_soon_as_it_is_whole() -> None:
    parser = tool_parser("<tool_call>", TOOLS)
    assert parser.feed("a<tool").content == "a"
    assert not parser.feed("_call>" + OSLO[:-1])
    [call] = parser.feed(OSLO[-1]).tool_calls
    assert re.fullmatch("call_[a-z0-9]{8}", call.id)
    assert not parser.feed("</tool_call>")
    [other] = parser.feed(OSLO).tool_calls
    assert (other.function.index, other.id == call.id) == (1, False)


def test_arguments_keep_their_order() -> None:
    _, _, calls = parse("{", '{"name": "add", "arguments": {"b": 1, "a": 2}}')
    assert list(calls[0][2]) == ["b", "a"]


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
calls_made = st.lists(
    st.tuples(st.sampled_from(TOOLS), st.dictionaries(st.text(max_size=6), values, max_size=3)),
    min_size=1,
    max_size=4,
)


@given(calls_made, st.sampled_from(["<tool_call>", "{", "["]), cuts, st.booleans())
def test_every_call_arrives_whatever_its_arguments(
    made: list[tuple[str, dict[str, Any]]], tag: str, places: list[int], ascii_only: bool
) -> None:
    written = [
        json.dumps({"name": name, "arguments": arguments}, ensure_ascii=ascii_only)
        for name, arguments in made
    ]
    text = {"<tool_call>": "<tool_call>", "{": "", "[": "["}[tag] + "\n".join(written)
    content, _, calls = parse(tag, *cut(text, places))
    assert content == ""
    assert [(name, arguments) for _, name, arguments in calls] == made


scraps = st.lists(
    st.sampled_from(
        [
            OSLO,
            BERGEN,
            "<tool_call>",
            "</tool_call>",
            "<tool",
            "_call>",
            '{"a": 1}',
            "hello",
            "get_weather",
            "_map",
            "{",
            "}",
            "[",
            "]",
            '"',
            "\\",
            ",",
            " ",
            "\n",
            "x",
            '"name":',
        ]
    ),
    max_size=12,
).map("".join)


@given(scraps, st.sampled_from(["<tool_call>", "{", "["]), cuts)
def test_any_cut_gives_the_same(text: str, tag: str, places: list[int]) -> None:
    assert parse(tag, *cut(text, places)) == parse(tag, text)


@given(scraps, st.sampled_from(["<tool_call>", "{", "["]))
def test_an_answer_without_calls_is_all_content(text: str, tag: str) -> None:
    content, _, calls = parse(tag, text)
    assert calls or content == text
