"""Which tokens may come next, and how that is applied to the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

# Below this share of allowed tokens it is faster to put their logits back than to forbid the rest.
_SPARSE = 8


class Mask:
    """The allowed tokens of one step, computed beside the decode and applied after it.

    Applying costs the decode loop, for masks as JSON has them, 3-20 µs at 32,000 tokens and
    10-60 µs at 150,000.
    """

    def __init__(self, n_vocab: int) -> None:
        self._n_vocab = n_vocab
        self.bits: npt.NDArray[np.uint32] = np.zeros((n_vocab + 31) // 32, np.uint32)
        self._allowed: npt.NDArray[np.intp] | None = None
        self._forbidden: npt.NDArray[np.bool_] = np.ones(n_vocab, np.bool_)

    def unpack(self) -> int:
        """Take over `bits` (bit i of the little-endian words is token i); the number allowed."""
        octets = np.invert(self.bits).view(np.uint8)
        unpacked = np.unpackbits(octets, count=self._n_vocab, bitorder="little")
        self._forbidden = unpacked.view(np.bool_)
        count = self._n_vocab - int(np.count_nonzero(self._forbidden))
        sparse = count * _SPARSE < self._n_vocab
        self._allowed = np.flatnonzero(~self._forbidden) if sparse else None
        return count

    def apply(self, logits: npt.NDArray[np.float32]) -> None:
        """Set the logits (n_vocab) of forbidden tokens to -inf, in place."""
        if self._allowed is None:
            np.copyto(logits, -np.inf, where=self._forbidden)
            return
        kept = logits[self._allowed]
        logits.fill(-np.inf)
        logits[self._allowed] = kept
