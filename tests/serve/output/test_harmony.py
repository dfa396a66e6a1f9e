"""The channels of gpt-oss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.serve.output.harmony import HarmonyParser, identifiers
from tests.serve.output.pieces import Sorted, cut, cuts, sort

PROMPT = "<|start|>user<|message|>Hi<|end|><|start|>assistant"
ANALYSIS = "<|channel|>analysis<|message|>T"
CALL = "<|channel|>commentary to=functions.add <|constrain|>json<|message|>"
NEXT = "<|end|><|start|>assistant"


def parse(*pieces: str, prompt: str = PROMPT) -> Sorted:
    return sort(HarmonyParser(prompt, ["add", "get_weather"]), pieces)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ANALYSIS + NEXT + "<|message|>A<|end|>", ("A", "T", [])),
        (ANALYSIS + NEXT + "<|channel|>final<|message|>A < B", ("A < B", "T", [])),
        (ANALYSIS + "<|en", ("", "T<|en", [])),
        ("<|channel|>commentary<|message|>Let me see.", ("Let me see.", "", [])),
        (ANALYSIS + NEXT + CALL + '{"a": 1}', ("", "T", [(0, "add", {"a": 1})])),
        (CALL + "<|call|>", ("", "", [(0, "add", {})])),
        (
            CALL + '{"a": "<|x|>"}' + NEXT + CALL.replace("add", "get_weather") + "{}<|call|>",
            ("", "", [(0, "add", {"a": "<|x|>"}), (1, "get_weather", {})]),
        ),
        (" to=functions.add<|channel|>commentary<|message|>{}", ("", "", [(0, "add", {})])),
        (CALL + '{"a": oops', ('{"a": oops', "", [])),
        (CALL.replace("add", "search") + "{}", ("{}", "", [])),
        ("Just text.", ("Just text.", "", [])),
        (ANALYSIS + NEXT + "<|chan", ("", "T", [])),
        ("", ("", "", [])),
    ],
)
def test_channels_say_what_a_text_is(text: str, expected: Sorted) -> None:
    assert parse(text) == expected
    assert parse(*text) == expected


def test_a_prompt_may_have_begun_the_answer() -> None:
    begun = PROMPT + "<|channel|>final<|message|>So"
    assert parse(" be it.", prompt=begun) == (" be it.", "", [])
    assert parse("<|message|>A", prompt="no message at all") == ("A", "", [])


scraps = st.lists(
    st.sampled_from(
        [ANALYSIS, CALL, NEXT, "<|channel|>final<|message|>", "<|end|>", "<|", "|>", "{}", "a", " "]
    ),
    max_size=10,
).map("".join)


@given(scraps, cuts)
def test_any_cut_gives_the_same(text: str, places: list[int]) -> None:
    assert parse(*cut(text, places)) == parse(text)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["add", "$a_1"], ["add", "$a_1"]),
        (
            ["get weather", "get-weather", "get.weather"],
            ["get_weather", "get_weather_2", "get_weather_3"],
        ),
        (["2nd", "añb", "a/b!", "!?"], ["_2nd", "añb", "ab", "unnamed"]),
        (["browser.open", "browser.close", "python"], ["browser.open", "browser_close", "python"]),
        (["a", "a"], ["a"]),
    ],
)
def test_tools_are_known_as_identifiers(names: list[str], expected: list[str]) -> None:
    assert list(identifiers(names).values()) == expected


def test_a_call_has_the_name_of_the_request() -> None:
    parser = HarmonyParser(PROMPT, ["get.weather", "get-weather"])
    call = CALL.replace("add", "get_weather_2") + "{}"
    assert sort(parser, [call]) == ("", "", [(0, "get-weather", {})])
