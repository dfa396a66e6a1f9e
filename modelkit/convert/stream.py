"""Tensor data from the checkpoint to the output: read in chunks, reorder, change type.

Memory stays at a few chunks however large a tensor is.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from modelkit.convert.plan import PlannedTensor
from modelkit.convert.safetensors import SourceTensor
from modelkit.errors import ConvertError
from modelkit.gguf.writer import Buffer

CHUNK = 4 << 20  # bytes of source data

Array = np.ndarray[Any, Any]
# bfloat16 has no numpy type: it is carried as its bits
_NUMPY_TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8"}


class Streamer:
    """Yields tensors' bytes in the output's type; counts values that became infinite in float16."""

    def __init__(self, chunk: int = CHUNK) -> None:
        self.overflows = 0
        self._chunk = chunk

    def chunks(self, tensor: PlannedTensor) -> Iterator[Buffer]:
        """The tensor's bytes, in order. A chunk is only valid until the next one is asked for."""
        source = tensor.source
        if isinstance(source, bytes):
            yield source
            return
        change = self._change(source.dtype, tensor.plan.type.name)
        for piece in _read(source, self._chunk_size(tensor, source)):
            values = np.frombuffer(piece, _NUMPY_TYPES[source.dtype])
            if tensor.heads:
                values = _interleave(values, source.shape, tensor.heads)
            if change is not None:
                values = change(values)
            yield values.data.cast("B")

    def _chunk_size(self, tensor: PlannedTensor, source: SourceTensor) -> int:
        """Whole heads when rows move inside a head, else whole values."""
        unit = source.nbytes // tensor.heads if tensor.heads else 8
        return max(unit, self._chunk // unit * unit)

    def _change(self, source: str, target: str) -> Callable[[Array], Array] | None:
        if source == target:
            return None

        def change(values: Array) -> Array:
            wide = _widen(values) if source == "BF16" else values.astype("<f4", copy=False)
            if target == "F16":
                return self._to_float16(wide)
            return _to_bfloat16(wide) if target == "BF16" else wide

        return change

    def _to_float16(self, values: Array) -> Array:
        with np.errstate(over="ignore"):
            halves = values.astype("<f2")
        infinite = np.count_nonzero(halves.view("<u2") & 0x7FFF == 0x7C00)
        if infinite:
            self.overflows += int(infinite - np.count_nonzero(np.isinf(values)))
        return halves


def _widen(bits: Array) -> Array:
    """bfloat16 to float32: the bits are the upper half."""
    return (bits.astype("<u4") << 16).view("<f4")


def _to_bfloat16(values: Array) -> Array:
    """float32 to the nearest bfloat16, ties to even; a NaN stays a (quiet) NaN."""
    bits = values.view("<u4")
    quiet = (bits & 0xFFFF0000) | 0x400000
    rounded = bits + 0x7FFF + ((bits >> 16) & 1)
    return (np.where(np.isnan(values), quiet, rounded) >> 16).astype("<u2")


def _interleave(values: Array, shape: tuple[int, ...], heads: int) -> Array:
    """Reorder the rows of whole heads for the engine's rotary embedding.

    Hugging Face rotates row i of a head with row i + d/2; llama.cpp rotates rows 2i and 2i + 1.
    `shape` is the whole tensor's, (heads * d, ...).
    """
    half = shape[0] // heads // 2
    width = shape[1] if len(shape) > 1 else 1
    return np.ascontiguousarray(values.reshape(-1, 2, half, width).swapaxes(1, 2))


def _read(source: SourceTensor, chunk: int) -> Iterator[memoryview]:
    """The tensor's bytes in chunks of this many, in a buffer that is used again."""
    buffer = memoryview(bytearray(min(chunk, source.nbytes)))
    try:
        with source.path.open("rb", buffering=0) as stream:
            stream.seek(source.offset)
            left = source.nbytes
            while left:
                piece = buffer[: min(chunk, left)]
                _fill(stream.readinto, piece, source.name)
                left -= piece.nbytes
                yield piece
    except OSError as error:
        raise ConvertError(f"cannot read tensor {source.name}: {error.strerror}") from error


def _fill(readinto: Callable[[memoryview], int | None], piece: memoryview, name: str) -> None:
    done = 0
    while done < piece.nbytes:
        count = readinto(piece[done:])
        if not count:
            raise ConvertError(f"the file became shorter while tensor {name} was read")
        done += count
