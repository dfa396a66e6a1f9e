"""Edge cases 116 to 129: thoughts and calls in answers that come in pieces."""

import json
import re
from typing import Any

import pytest

from modelkit.serve.output import OutputParser
from modelkit.serve.output.harmony import HarmonyParser
from modelkit.serve.output.thinking import ThinkingParser
from modelkit.serve.output.tools import tool_parser
from tests.serve.output.pieces import sort

Calls = list[tuple[int, str, dict[str, Any]]]
TOOLS = ("get_conditions", "get_temperature", "say_hello", "say_hello_world")
TAG = "<tool_call>"
OSLO = {"city": "Oslo"}
IN_OSLO = (0, "get_temperature", OSLO)


def named(name: str, key: str = "arguments", value: object = OSLO) -> str:
    return json.dumps({"name": name, key: value})


def thinking(*, started: bool = False) -> OutputParser:
    return ThinkingParser("<think>", "</think>", started=started)


THOUGHTS = [
    (116, ["  <th", "in", "k>a"], "a", ""),
    (117, ["<think>abc</th", "ing>def"], "abc</thing>def", ""),
    (118, ["  abc <think>d</think>"], "", "  abc <think>d</think>"),
    (119, ["<think> x </think>\n\ny"], "x ", "y"),
]

CALLS: list[tuple[int, str, list[str], str, Calls]] = [
    (
        122,
        "{",
        ['{"name": "jeff"}', named("get_conditions")],
        '{"name": "jeff"}' + named("get_conditions"),
        [],
    ),
    (123, "{", [named("search")], named("search"), []),
    (124, TAG, [TAG, "say_hello", '_world {"a": 1}'], "", [(0, "say_hello_world", {"a": 1})]),
    (124, TAG, [TAG, "say_hello", ' {"a": 1}'], "", [(0, "say_hello", {"a": 1})]),
    (125, TAG, [TAG, named("get_temperature", value=json.dumps(OSLO))], "", [IN_OSLO]),
    (
        125,
        TAG,
        [TAG, named("get_temperature", value=[1])],
        TAG + named("get_temperature", value=[1]),
        [],
    ),
    (126, TAG, [TAG, named("get_temperature", "parameters")], "", [IN_OSLO]),
    (126, TAG, [TAG, json.dumps({"get_temperature": OSLO})], "", [IN_OSLO]),
    (
        127,
        "[",
        [f"[{named('get_temperature')}, ", f"{named('say_hello')}]"],
        "",
        [IN_OSLO, (1, "say_hello", OSLO)],
    ),
    (128, TAG, [TAG, named("say_hello", value={"a": "}{"})], "", [(0, "say_hello", {"a": "}{"})]),
]

GPT_OSS = "<|channel|>analysis<|message|>T<|end|><|start|>assistant<|message|>A<|end|>"

NUMBERS = {row[0] for row in THOUGHTS} | {row[0] for row in CALLS} | {120, 129}


@pytest.mark.parametrize(("number", "pieces", "thought", "content"), THOUGHTS)
def test_thoughts_are_told_from_content(
    number: int, pieces: list[str], thought: str, content: str
) -> None:
    assert sort(thinking(), pieces) == (content, thought, [])
    assert sort(thinking(), "".join(pieces)) == (content, thought, [])


def test_120_a_prompt_may_have_opened_the_thoughts() -> None:
    assert sort(thinking(started=True), ["</think> The answer"]) == ("The answer", "", [])


@pytest.mark.parametrize(("number", "tag", "pieces", "content", "calls"), CALLS)
def test_calls_are_told_from_content(
    number: int, tag: str, pieces: list[str], content: str, calls: Calls
) -> None:
    assert sort(tool_parser(tag, TOOLS), pieces) == (content, "", calls)
    assert sort(tool_parser(tag, TOOLS), "".join(pieces)) == (content, "", calls)


def test_127_calls_have_ids_of_their_own() -> None:
    parser = tool_parser("[", TOOLS)
    output = parser.feed(f"[{named('say_hello')}, {named('say_hello')}]") + parser.finish()
    ids = {call.id for call in output.tool_calls}
    assert len(ids) == 2
    assert all(re.fullmatch("call_[a-z0-9]{8}", text) for text in ids)


def test_129_channels_of_gpt_oss() -> None:
    parser = HarmonyParser("<|start|>assistant", [])
    assert sort(parser, [GPT_OSS]) == ("A", "T", [])
