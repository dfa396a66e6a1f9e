"""float32 values become the doubles of the shortest decimals that name them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.serve.decimals import Floats, shortest


def _by_text(values: Floats) -> list[float]:
    return [float(str(value)) for value in values]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=40))
def test_the_numbers_are_those_of_the_text(numbers: list[float]) -> None:
    values = np.array(numbers, np.float32)
    assert [number.hex() for number in shortest(values).tolist()] == [
        number.hex() for number in _by_text(values)
    ]


@pytest.mark.parametrize("exponent", [-12, -6, -3, -1, 0, 4])
def test_the_same_at_every_size(exponent: int) -> None:
    random = np.random.default_rng(exponent + 20)
    values = (random.standard_normal(5000) * 10.0**exponent).astype(np.float32)
    assert shortest(values).tolist() == _by_text(values)


def test_the_shape_is_kept() -> None:
    assert shortest(np.array([[0.1, -0.0], [1e-20, 0.5]], np.float32)).tolist() == [
        [0.1, -0.0],
        [1e-20, 0.5],
    ]
