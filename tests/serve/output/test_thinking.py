"""Thoughts taken out of an answer that comes in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.serve.output.thinking import ThinkingParser
from tests.serve.output.pieces import Sorted, cut, cuts, sort


def parse(*pieces: str, started: bool = False) -> Sorted:
    return sort(ThinkingParser("<think>", "</think>", started=started), pieces)


@pytest.mark.parametrize(
    ("pieces", "content", "thinking"),
    [
        (["  <th", "in", "k>a"], "", "a"),
        (["<think>abc</th", "ing>def"], "", "abc</thing>def"),
        (["<think>abc</think>def"], "def", "abc"),
        (["  abc <think>d</think>"], "  abc <think>d</think>", ""),
        (["<think> x </think>\n\ny"], "y", "x "),
        (["<think>a</think><think>b</think>c"], "<think>b</think>c", "a"),
        (["<think>", "\n", " \n", "a", "</think>", "\n", "\n", "b\n"], "b\n", "a"),
        (["<think></think>a"], "a", ""),
        (["<think>\n\n</think>\n\na"], "a", ""),
        (["<think>a<", "/", "think", "> "], "", "a"),
        (["<thinking>a</thinking>"], "<thinking>a</thinking>", ""),
        (["a < b"], "a < b", ""),
        (["\n\n"], "\n\n", ""),
        ([], "", ""),
        (["\u00a0\u2003<think>a"], "", "a"),
    ],
)
def test_the_first_block_is_thinking_and_the_rest_is_content(
    pieces: list[str], content: str, thinking: str
) -> None:
    assert parse(*pieces)[:2] == (content, thinking)


@pytest.mark.parametrize(
    ("text", "content", "thinking"),
    [("</think> The answer", "The answer", ""), ("\na</think>b", "b", "a"), ("a", "", "a")],
)
def test_a_prompt_may_have_opened_the_thoughts(text: str, content: str, thinking: str) -> None:
    assert parse(text, started=True)[:2] == (content, thinking)


@pytest.mark.parametrize(
    ("text", "content", "thinking"),
    [("<thi", "<thi", ""), (" \n<think", " \n<think", ""), ("<think>a</thi", "", "a</thi")],
)
def test_a_tag_that_is_never_completed_is_text(text: str, content: str, thinking: str) -> None:
    assert parse(text)[:2] == (content, thinking)


def test_what_is_certain_comes_at_once() -> None:
    parser = ThinkingParser("<think>", "</think>")
    assert not parser.feed("<think>")
    assert parser.feed("hm < <").thinking == "hm < "
    assert parser.feed("x").thinking == "<x"
    assert parser.feed("</think>\n").content == ""
    assert parser.feed("a <think>").content == "a <think>"


words = st.lists(
    st.sampled_from(["<think>", "</think>", "<th", "ink>", "</", " ", "\n", "a", "<", ">", "é"])
).map("".join)


@given(words, cuts, st.booleans())
def test_any_cut_gives_the_same(text: str, places: list[int], started: bool) -> None:
    assert parse(*cut(text, places), started=started) == parse(text, started=started)


@given(words, cuts)
def test_nothing_but_tags_and_the_space_after_them_is_lost(text: str, places: list[int]) -> None:
    content, thinking, _ = parse(*cut(text, places))
    if not thinking and not text.lstrip().startswith("<think>"):
        assert content == text
    else:
        before, _, rest = text.partition("<think>")
        assert not before.strip()
        inside, _, after = rest.lstrip().partition("</think>")
        assert (thinking, content) == (inside, after.lstrip())
