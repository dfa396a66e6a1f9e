"""The few tokens that can be sampled at all, handed to llama.cpp instead of a whole vocabulary."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import llama_cpp.llama_cpp as api
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_BLOCK = 64
_DTYPE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Candidates:
    """Tokens among which a chain chooses, in a buffer that is filled again for each choice."""

    def __init__(self, n_vocab: int) -> None:
        self._most = n_vocab // 8
        self._blocks = n_vocab // _BLOCK
        self._tokens = np.zeros(self._most, _DTYPE)
        pointer = ctypes.cast(self._tokens.ctypes.data, ctypes.POINTER(api.llama_token_data))
        self._array = api.llama_token_data_array(data=pointer)

    def choose(self, chain: int, logits: npt.NDArray[np.float32], count: int) -> int | None:
        """What a chain that begins with top_k=count chooses; None when it must see all logits.

        The chain has accepted the token then. The choice is that from all logits, in less time.
        """
        tokens = self._likeliest(logits, count)
        size = len(tokens)
        if not count <= size <= self._most:
            return None
        self._tokens["id"][:size] = tokens
        self._tokens["logit"][:size] = logits[tokens]
        self._array.size, self._array.selected, self._array.sorted = size, -1, False
        api.llama_sampler_apply(chain, ctypes.byref(self._array))
        token: int = self._array.data[self._array.selected].id
        api.llama_sampler_accept(chain, token)
        return token

    def _likeliest(self, logits: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.intp]:
        """The `count` likeliest tokens and some more.

        The count-th largest of the blocks' maxima is a lower bound: as many logits reach it.
        """
        if self._blocks < 2 * count:
            return np.empty(0, np.intp)
        peaks = logits[: self._blocks * _BLOCK].reshape(-1, _BLOCK).max(axis=1)
        return np.flatnonzero(logits >= np.partition(peaks, -count)[-count])
