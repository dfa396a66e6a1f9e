"""Bytes of tokens become text that never has to be taken back."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from modelkit.serve.runner.text import TextStream


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


@given(st.text(), st.lists(st.integers(0, 1000)))
def test_any_cut_of_the_bytes_gives_the_same_text(text: str, cuts: list[int]) -> None:
    stream = TextStream()
    out = "".join(stream.feed(piece) for piece in _pieces(text.encode(), cuts))
    assert out + stream.flush() == text
    assert stream.emitted == len(text)


@given(
    st.text("abc", max_size=40),
    st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.integers(0, 1000)),
)
def test_text_ends_before_the_first_stop_string(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    stream = TextStream(stops)
    out = ""
    for piece in _pieces(text.encode(), cuts):
        out += stream.feed(piece)
        if stream.stopped:
            break
    out += stream.flush()
    if stream.stopped:
        assert stream.stop in stops
        assert text.startswith(f"{out}{stream.stop}")
        assert not any(stop in out for stop in stops)
    else:
        assert out == text
        assert not any(stop in text for stop in stops)


def test_the_beginning_of_a_stop_string_is_held_back() -> None:
    stream = TextStream(["<end>"])
    assert stream.feed(b"hello <e") == "hello "
    assert stream.feed(b"n") == ""
    assert stream.feed(b"tropy>") == "<entropy>"
    assert not stream.stopped


def test_a_stop_string_over_three_tokens_stops_and_is_not_sent() -> None:
    stream = TextStream(["STOP"])
    assert [stream.feed(piece) for piece in (b"a S", b"TO", b"P b")] == ["a ", "", ""]
    assert stream.stopped
    assert stream.flush() == ""


def test_a_character_over_several_tokens_is_sent_once_it_is_whole() -> None:
    stream = TextStream()
    first, second, third, last = (bytes([byte]) for byte in "🙂".encode())
    assert [stream.feed(piece) for piece in (first, second, third, last)] == ["", "", "", "🙂"]


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    stream = TextStream()
    assert stream.feed(b"a\xff") + stream.feed(b"b") == "a\ufffdb"


def test_an_unfinished_character_at_the_end_is_dropped() -> None:
    stream = TextStream()
    assert stream.feed(b"a\xf0\x9f") == "a"
    assert stream.flush() == ""


def test_an_empty_stop_string_stops_nothing() -> None:
    stream = TextStream([""])
    assert stream.feed(b"abc") == "abc"
    assert not stream.stopped
