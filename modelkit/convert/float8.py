"""Float8 (E4M3) with a scale for each block, made float32 again: see `scales`."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from modelkit.convert.safetensors import SourceTensor
from modelkit.errors import ConvertError

Array = np.ndarray[Any, Any]


class Widener:
    """Makes float32 of a tensor's bytes, which come in order and in whole rows."""

    def __init__(self, source: SourceTensor, scale: SourceTensor) -> None:
        self._columns = source.shape[1]
        self._block = source.block
        self._scales = _read_scales(scale)
        self._row = 0

    def widened(self, piece: memoryview) -> Array:
        """The next rows."""
        values = _VALUES.take(np.frombuffer(piece, np.uint8)).reshape(-1, self._columns)
        rows = np.arange(self._row, self._row + len(values)) // self._block[0]
        scales = self._scales[rows].repeat(self._block[1], axis=1)[:, : self._columns]
        self._row += len(values)
        return (values * scales).ravel()


def _read_scales(scale: SourceTensor) -> Array:
    try:
        with scale.path.open("rb") as file:
            file.seek(scale.offset)
            raw = file.read(scale.nbytes)
    except OSError as error:
        raise ConvertError(f"cannot read tensor {scale.name}: {error.strerror}") from error
    if len(raw) != scale.nbytes:
        raise ConvertError(f"the file became shorter while tensor {scale.name} was read")
    values = np.frombuffer(raw, "<f4" if scale.dtype == "F32" else "<u2")
    if scale.dtype == "BF16":
        values = (values.astype("<u4") << 16).view("<f4")
    return values.reshape(scale.shape)


def _values() -> Iterator[float]:
    """What each byte means: a sign, four bits of exponent, three of fraction, and no infinity."""
    for byte in range(256):
        sign, exponent, fraction = -1.0 if byte >> 7 else 1.0, byte >> 3 & 15, byte & 7
        if byte & 0x7F == 0x7F:
            yield float("nan")
        elif exponent:
            yield sign * (1 + fraction / 8) * 2.0 ** (exponent - 7)
        else:
            yield sign * fraction / 8 * 2.0**-6


_VALUES = np.fromiter(_values(), np.float32, 256)
