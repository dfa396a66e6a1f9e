"""Tokens for one decode call."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from modelkit.serve.runner.llama.binding import api

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


class Batch:
    """Tokens for one decode call, in buffers that are made once and filled again."""

    def __init__(self, capacity: int) -> None:
        self._tokens = np.zeros(capacity, np.int32)
        self._positions = np.zeros(capacity, np.int32)
        self._sequences = np.zeros(capacity, np.int32)
        self._outputs = np.zeros(capacity, np.int8)
        self._counts = np.ones(capacity, np.int32)
        first = self._sequences.ctypes.data
        self._pointers = np.arange(first, first + 4 * capacity, 4, dtype=np.uint64)
        self.capacity = capacity
        self.raw = api.llama_batch(
            n_tokens=0,
            token=_pointer(self._tokens, ctypes.c_int32),
            pos=_pointer(self._positions, ctypes.c_int32),
            n_seq_id=_pointer(self._counts, ctypes.c_int32),
            seq_id=_pointer(self._pointers, ctypes.POINTER(ctypes.c_int32)),
            logits=_pointer(self._outputs, ctypes.c_int8),
        )
        self._length = 0
        self.rows: dict[int, int] = {}
        """Which row of the results belongs to each index that wants some."""

    def __len__(self) -> int:
        return self._length

    def clear(self) -> None:
        self._length = 0
        self.rows = {}

    def add(self, token: int, position: int, sequence: int, *, output: bool = True) -> int:
        """Append one token, by default one whose logits are wanted; returns its index."""
        index = self._length
        self._tokens[index] = token
        self._positions[index] = position
        self._sequences[index] = sequence
        self._outputs[index] = output
        if output:
            self.rows[index] = len(self.rows)
        self._length = index + 1
        return index

    def extend(
        self, tokens: Sequence[int], position: int, sequence: int, *, output_all: bool = False
    ) -> int:
        """Append a run of tokens that starts at `position`; returns the last one's index."""
        start, stop = self._length, self._length + len(tokens)
        self._tokens[start:stop] = tokens
        self._positions[start:stop] = np.arange(position, position + len(tokens))
        self._sequences[start:stop] = sequence
        self._outputs[start:stop] = output_all
        if output_all:
            first = len(self.rows)
            self.rows.update(
                zip(range(start, stop), range(first, first + stop - start), strict=True)
            )
        self._length = stop
        return stop - 1

    def want_output(self, index: int) -> None:
        """Have logits made for a token; in the order of the tokens."""
        self._outputs[index] = 1
        self.rows[index] = len(self.rows)


def _pointer(array: npt.NDArray[Any], kind: Any) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))
