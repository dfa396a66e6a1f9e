"""Texts cut into pieces, and what parsers make of them."""

import itertools
from collections.abc import Iterable

from hypothesis import strategies as st

from modelkit.serve.output import Output, OutputParser

Sorted = tuple[str, str, list[tuple[int, str, dict[str, object]]]]


def sort(parser: OutputParser, pieces: Iterable[str]) -> Sorted:
    """Content, thoughts, and calls as (index, name, arguments) of a whole answer."""
    return summary(sum((parser.feed(piece) for piece in pieces), Output()) + parser.finish())


def summary(output: Output) -> Sorted:
    """An output without the ids of its calls, which are random."""
    calls = [call.function for call in output.tool_calls]
    found = [(call.index, call.name, call.arguments) for call in calls]
    return output.content, output.thinking, found


def cut(text: str, places: Iterable[int]) -> list[str]:
    """The text in pieces, cut at these places."""
    borders = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(borders)]


cuts = st.lists(st.integers(0, 10_000), max_size=40)
"""Places for `cut`."""
