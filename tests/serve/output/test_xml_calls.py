"""Calls in the form of Qwen3-Coder."""

from typing import Any

import pytest
from hypothesis import given

from modelkit.serve.output import AnswerFormat
from modelkit.serve.output.forms import XML
from tests.serve.output.pieces import Sorted, cut, cuts, sort

SCHEMA = {
    "properties": {
        "text": {"type": "string"},
        "day": {"type": "string", "format": "date"},
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "sure": {"type": "boolean", "description": "whether"},
        "list": {"type": "array"},
        "map": {"type": "object"},
        "maybe": {"type": ["string", "null"]},
        "mode": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    }
}
FORMAT = AnswerFormat(None, "<tool_call>", ("f", "g"), form=XML, schemas={"f": SCHEMA, "g": None})


def parse(*pieces: str) -> Sorted:
    return sort(FORMAT.parser(""), pieces)


def call(name: str, **arguments: str) -> str:
    values = [f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items()]
    return f"<tool_call>\n<function={name}>\n{''.join(values)}</function>\n</tool_call>"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("text", "12", "12"),
        ("text", "null", "null"),
        ("text", '"quoted"', '"quoted"'),
        ("text", "two\n\nlines\n", "two\n\nlines\n"),
        ("text", "<parameter=x> </function> <tool_call>", "<parameter=x> </function> <tool_call>"),
        ("day", "2024-02-29", "2024-02-29"),
        ("day", '"2024-02-29"', "2024-02-29"),
        ("count", "12", 12),
        ("count", "1.5", "1.5"),
        ("count", "many", "many"),
        ("ratio", "1.5", 1.5),
        ("sure", "True", True),
        ("sure", "1", "1"),
        ("list", '[1, {"a": 2}]', [1, {"a": 2}]),
        ("map", '{"a": []}', {"a": []}),
        ("map", "{a: 1}", "{a: 1}"),
        ("maybe", "None", None),
        ("maybe", "5", "5"),
        ("mode", "5", 5),
        ("mode", "fast", "fast"),
        ("unknown", "[1]", [1]),
    ],
)
def test_values_have_the_types_of_the_schema(key: str, text: str, value: Any) -> None:
    assert parse(call("f", **{key: text})) == ("", "", [(0, "f", {key: value})])


TEXT = (
    f"Well. {call('f', text='a <b> {c}', count='3')}\n{call('g')}\n{call('h')}{call('g', x='1')}!"
)


@given(cuts)
def test_calls_arrive_however_the_text_is_cut(places: list[int]) -> None:
    calls = [(0, "f", {"text": "a <b> {c}", "count": 3}), (1, "g", {}), (2, "g", {"x": 1})]
    assert parse(*cut(TEXT, places)) == ("Well. ", "", calls)


@pytest.mark.parametrize(
    "text",
    [
        "no call",
        "<tool_call>\n<function=f>\n<parameter=text>\nnever ends",
        call("other"),
        call("f").removeprefix("<tool_call>"),
        "<tool_cal",
    ],
)
def test_without_a_whole_call_all_is_content(text: str) -> None:
    assert parse(text) == (text, "", [])
    assert parse(*text) == (text, "", [])


def test_a_call_comes_as_soon_as_it_is_whole() -> None:
    parser = FORMAT.parser("")
    whole = call("g", a="1")
    assert not parser.feed(whole.partition("</function>")[0])
    [found] = parser.feed("</function>").tool_calls
    assert found.function.arguments == {"a": 1}
    assert not parser.finish()
