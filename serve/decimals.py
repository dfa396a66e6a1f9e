"""float32 values as the doubles that print as their shortest decimals."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]

_DIGITS = (6, 7, 8, 9)
"""Significant digits: no two decimals of 6 name one float32, and 9 are always enough."""
_POWERS = np.array([float(10**places) for places in range(23)])
"""Powers of ten that are doubles, so that a division by one rounds only once."""
_LEAST, _MOST = 1e-13, 1e5
"""Between these, 9 digits need no power that is not among them, and 6 no negative one."""


def shortest(values: Floats) -> Doubles:
    """For each value the double of the shortest decimal that names it, the nearest of those.

    JSON written from these has `0.1`, where the value itself would be `0.10000000149011612`. Equal
    to `float(str(value))` and many times as fast. Values must be finite.
    """
    flat = values.ravel()
    found = flat.astype(np.float64)
    sizes = np.abs(flat)
    # Those next to a power of two have neighbours at unequal distances.
    plain = (sizes > _LEAST) & (sizes < _MOST) & (np.frexp(sizes)[0] != np.float32(0.5))
    left = _rounded(flat, found, np.flatnonzero(plain))
    others = np.concatenate((left, np.flatnonzero(~plain & (sizes > 0))))
    found[others] = flat[others].astype(str).astype(np.float64)
    return found.reshape(values.shape)


def _rounded(values: Floats, found: Doubles, left: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Fill in the values at `left` by rounding to more and more digits; returns what is left."""
    sizes = np.abs(values[left].astype(np.float64))
    places = (_DIGITS[0] - 1 - np.floor(np.log10(sizes))).astype(np.intp)
    for _ in _DIGITS:
        scales = _POWERS[places]
        tried = np.rint(values[left] * scales) / scales
        right = tried.astype(np.float32) == values[left]
        found[left[right]] = tried[right]
        left, places = left[~right], places[~right] + 1
    return left
