"""Guesses that are looked up in the text so far."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelkit.serve.runner.speculation.lookup import (
    MAX_CANDIDATES,
    MAX_MATCH,
    MIN_MATCH,
    PromptLookup,
)

# Few different tokens, so that matches of every length occur.
_TEXTS = st.lists(st.integers(0, 3), max_size=120)


def _lookup(tokens: list[int]) -> PromptLookup:
    lookup = PromptLookup()
    lookup.extend(tokens)
    return lookup


def _agreement(tokens: list[int], end: int) -> int:
    length = 0
    while length < min(end, MAX_MATCH) and tokens[end - 1 - length] == tokens[-1 - length]:
        length += 1
    return length


def _expected(tokens: list[int], count: int) -> list[int]:
    """The same by trying every place and writing the guess out token by token."""
    ends = [end for end in range(len(tokens) - 1, 0, -1) if _agreement(tokens, end) >= MIN_MATCH]
    if not ends:
        return []
    start = max(ends[:MAX_CANDIDATES], key=lambda end: (_agreement(tokens, end), end))
    text = list(tokens)
    for index in range(count):
        text.append(text[start + index])
    return text[len(tokens) :]


@given(_TEXTS, st.integers(0, 12))
def test_the_longest_and_latest_match_tells_what_follows(tokens: list[int], count: int) -> None:
    assert _lookup(tokens).propose(count) == _expected(tokens, count)


@given(_TEXTS, st.integers(0, 120))
def test_it_does_not_matter_in_how_many_parts_the_text_came(tokens: list[int], cut: int) -> None:
    parts = _lookup(tokens[:cut])
    parts.extend(tokens[cut:])
    assert len(parts) == len(tokens)
    assert parts.propose(5) == _lookup(tokens).propose(5)


def test_a_longer_match_beats_a_later_one() -> None:
    assert _lookup([1, 2, 3, 7, 9, 2, 3, 8, 1, 2, 3]).propose(2) == [7, 9]


def test_of_equal_matches_the_later_one_wins() -> None:
    assert _lookup([2, 3, 7, 2, 3, 8, 2, 3]).propose(1) == [8]


def test_a_period_goes_on() -> None:
    assert _lookup([5, 1, 2, 1, 2]).propose(5) == [1, 2, 1, 2, 1]


def test_a_text_without_repetition_gives_no_guess() -> None:
    assert _lookup(list(range(50))).propose(4) == []
    assert _lookup([7]).propose(4) == []
