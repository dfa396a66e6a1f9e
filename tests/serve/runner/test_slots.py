"""How far two texts are the same, and a cache that is too small."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.serve.runner.cache.slots import common_prefix
from tests.serve.runner.inside import Inside, greedy


@given(st.lists(st.integers(0, 1)), st.lists(st.integers(0, 1)), st.integers(0, 200))
def test_a_common_prefix_ends_before_the_first_difference(
    a: list[int], b: list[int], shared: int
) -> None:
    a, b = [5] * shared + a, [5] * shared + b
    length = common_prefix(a, b)
    assert a[:length] == b[:length]
    assert length == min(len(a), len(b)) or a[length] != b[length]


def test_what_nobody_uses_makes_room_for_those_who_run(llama: Path) -> None:
    # Half the cells that two full slots need.
    inside = Inside(llama, num_parallel=2, num_ctx=256, cells=256)
    first, second = ([290 + n] * 200 for n in range(2))
    expected = [Inside(llama).answer(greedy(prompt)) for prompt in (first, second)]
    for _ in range(2):
        for prompt, answer in zip((first, second), expected, strict=True):
            assert inside.answer(greedy(prompt)) == answer


def test_without_any_room_requests_fail_and_the_next_one_is_served(llama: Path) -> None:
    inside = Inside(llama, num_parallel=2, num_ctx=256, cells=256)
    for seed in range(2):
        inside.submit(greedy([290 + seed] * 200, 50))
    with pytest.raises(AssertionError, match="no room in the cache"):
        inside.finish()
    assert inside.generator.active == 0
    assert inside.answer(greedy([290] * 200)) == Inside(llama).answer(greedy([290] * 200))
