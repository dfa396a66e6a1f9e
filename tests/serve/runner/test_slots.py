"""How far two texts are the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelkit.serve.runner.slots import common_prefix


@given(st.lists(st.integers(0, 1)), st.lists(st.integers(0, 1)), st.integers(0, 200))
def test_a_common_prefix_ends_before_the_first_difference(
    a: list[int], b: list[int], shared: int
) -> None:
    a, b = [5] * shared + a, [5] * shared + b
    length = common_prefix(a, b)
    assert a[:length] == b[:length]
    assert length == min(len(a), len(b)) or a[length] != b[length]
