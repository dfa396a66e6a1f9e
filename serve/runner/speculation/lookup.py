"""Prompt lookup: what followed the last time the text ended like this is the guess.

Saxena, "Prompt Lookup Decoding" (2023); the index is the hash chain of LZ77 compressors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Two tokens must agree for a guess at all; beyond this many, more agreement says nothing new.
MIN_MATCH = 2
MAX_MATCH = 8
# How many earlier places are compared, most recent first: bounds the cost of a guess.
MAX_CANDIDATES = 16


class PromptLookup:
    """The tokens of one sequence, indexed by every two neighbours; a token costs O(1)."""

    def __init__(self) -> None:
        self._tokens: list[int] = []
        # Where a pair last ended (the index after it), and for each such end the one before it.
        self._last: dict[int, int] = {}
        self._earlier: list[int] = []

    def __len__(self) -> int:
        return len(self._tokens)

    def extend(self, tokens: Sequence[int]) -> None:
        """Append what the sequence read or wrote."""
        for token in tokens:
            # The pair before a token is indexed with it: the end of the text never finds itself.
            end = len(self._tokens)
            earlier = 0
            if end >= MIN_MATCH:
                pair = self._last_pair()
                earlier = self._last.get(pair, 0)
                self._last[pair] = end
            self._earlier.append(earlier)
            self._tokens.append(token)

    def propose(self, count: int) -> list[int]:
        """At most `count` tokens that may follow, [] without a match.

        The longest match wins, then the most recent. A match that overlaps the end of the text is
        a period, and goes on as one.
        """
        start = self._best_end()
        if not start or count <= 0:
            return []
        found = self._tokens[start : start + count]
        period = len(found)
        return [found[index % period] for index in range(count)]

    def _best_end(self) -> int:
        """The end of the best earlier match, 0 for none."""
        tokens = self._tokens
        if len(tokens) < MIN_MATCH:
            return 0
        best, length = 0, 0
        end = self._last.get(self._last_pair(), 0)
        for _ in range(MAX_CANDIDATES):
            if not end:
                break
            matched = self._matched(end)
            if matched > length:
                best, length = end, matched
            if length == MAX_MATCH:
                break
            end = self._earlier[end]
        return best

    def _matched(self, end: int) -> int:
        """How many tokens before `end` are also the last ones of the text, up to MAX_MATCH."""
        tokens = self._tokens
        most = min(end, MAX_MATCH)
        for length in range(MIN_MATCH, most):
            if tokens[end - 1 - length] != tokens[-1 - length]:
                return length
        return most

    def _last_pair(self) -> int:
        return self._tokens[-2] << 32 | self._tokens[-1]
