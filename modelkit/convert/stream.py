"""Tensor data from the checkpoint to the output: read in chunks, reorder, change type.

Memory stays at a few chunks however large a tensor is.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from modelkit.convert.float8 import Widener
from modelkit.convert.plan import PlannedTensor
from modelkit.convert.safetensors import SourceTensor
from modelkit.errors import ConvertError
from modelkit.gguf.writer import Buffer

CHUNK = 1 << 20  # bytes of source data; fits the processor's cache

Array = np.ndarray[Any, Any]
# Both 16-bit types are carried as their bits: numpy has no bfloat16
_NUMPY_TYPES = {"F32": "<f4", "F16": "<u2", "BF16": "<u2", "F64": "<f8"}


class Streamer:
    """Yields tensors' bytes in the output's type; counts values that became infinite in float16."""

    def __init__(self, chunk: int = CHUNK) -> None:
        self.overflows = 0
        self._chunk = chunk

    def chunks(self, tensor: PlannedTensor) -> Iterator[Buffer]:
        """The tensor's bytes, in order. A chunk is only valid until the next one is asked for."""
        source, target = tensor.source, tensor.plan.type.name
        if isinstance(source, bytes):
            yield source
            return
        widener = Widener(source, source.scale) if source.scale else None
        change = _change("F32" if widener else source.dtype, target)
        for piece in _read(source, self._chunk_size(tensor, source)):
            if widener:
                values = widener.widened(piece)
            else:
                values = np.frombuffer(piece, _NUMPY_TYPES[source.dtype])
            if tensor.heads:
                values = _interleave(values, source.shape, tensor.heads)
            changed = change(values)
            if target == "F16" and source.dtype != "F16":
                self.overflows += _new_infinities(values, changed)
            yield changed.data.cast("B")

    def _chunk_size(self, tensor: PlannedTensor, source: SourceTensor) -> int:
        """Whole heads when rows move inside a head, whole rows where they are scaled."""
        unit = source.shape[1] if source.scale else 8
        if tensor.heads:
            unit = source.nbytes // tensor.heads
        return max(unit, self._chunk // unit * unit)


def _change(source: str, target: str) -> Callable[[Array], Array]:
    """The function from values of one type to those of another."""
    if source == target:
        return lambda values: values
    if source in ("F16", "BF16"):
        # There are only 65536 values: each is converted once and then looked up
        bits = np.arange(1 << 16, dtype="<u2")
        wide = _widened(bits) if source == "BF16" else bits.view("<f2").astype("<f4")
        table = _narrowed(wide, target)
        return lambda values: table.take(values, mode="wrap")
    return lambda values: _narrowed(values.astype("<f4", copy=False), target)


def _narrowed(values: Array, target: str) -> Array:
    """float32 in the target's type; values too large for float16 become infinite."""
    if target == "F32":
        return values
    if target == "BF16":
        return _bfloat16(values)
    with np.errstate(over="ignore"):
        halves: Array = values.astype("<f2")
    return halves


def _widened(bits: Array) -> Array:
    """bfloat16 to float32: the bits are the upper half."""
    return (bits.astype("<u4") << 16).view("<f4")


def _bfloat16(values: Array) -> Array:
    """float32 to the nearest bfloat16, ties to even; a NaN stays a (quiet) NaN."""
    bits = values.view("<u4")
    rounded: Array = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    nan = np.isnan(values)
    if nan.any():
        rounded = np.where(nan, bits >> 16 | 0x40, rounded)
    narrow: Array = rounded.astype("<u2")
    return narrow


def _new_infinities(values: Array, halves: Array) -> int:
    """How many of the float16 values are infinite where the source (not float16) was not."""
    infinite = np.count_nonzero(halves.view("<u2") & 0x7FFF == 0x7C00)
    if not infinite:
        return 0
    before = values & 0x7FFF == 0x7F80 if values.dtype == "<u2" else np.isinf(values)
    return int(infinite - np.count_nonzero(before))


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
