"""Reading the header of a safetensors file that nobody has vouched for.

The format: a 64-bit length, that many bytes of JSON, then the tensors' bytes without holes
(https://github.com/huggingface/safetensors#format).
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from modelkit.convert.shown import shown
from modelkit.errors import ConvertError

MAX_HEADER = 100_000_000  # bytes, the format's own limit
# Bits of one element
DTYPES = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "U64": 64,
    "I64": 64,
    "F64": 64,
    "C64": 64,
}


@dataclass(frozen=True)
class SourceTensor:
    """A tensor of a checkpoint: `shape` as in PyTorch, `offset` from the start of the file.

    scale: what each block of the matrix must be multiplied with; block: its rows and columns.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    offset: int
    nbytes: int
    scale: "SourceTensor | None" = None
    block: tuple[int, int] = (0, 0)


def read_tensors(path: Path, name: str) -> list[SourceTensor]:
    """The tensors of one safetensors file, in header order.

    `name` stands for the file in messages. Raises ConvertError for anything the format forbids.
    """
    return _Header(path, name).tensors()


class _Header:
    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    def fail(self, what: str) -> NoReturn:
        raise ConvertError(
            f"not a valid safetensors file: {what}, {self.name}",
            hint="the file is damaged or incomplete; copy or download it again",
        )

    def tensors(self) -> list[SourceTensor]:
        raw, data_size = self.read()
        try:
            header = json.loads(raw, object_pairs_hook=self.unique)
        except (ValueError, RecursionError):
            self.fail("its header is not JSON")
        if not isinstance(header, dict):
            self.fail("its header is not a JSON object")
        header.pop("__metadata__", None)
        start = 8 + len(raw)
        tensors = [self.tensor(key, entry, start) for key, entry in header.items()]
        self.check_layout(tensors, start, start + data_size)
        return tensors

    def read(self) -> tuple[bytes, int]:
        """The header's bytes and the size of what follows."""
        try:
            size = self.path.stat().st_size
            with self.path.open("rb") as stream:
                length = int.from_bytes(stream.read(8), "little")
                if size < 8 or length > size - 8:
                    self.fail("its header runs past the end of the file")
                if length > MAX_HEADER:
                    self.fail(f"its header claims {length} bytes")
                return stream.read(length), size - 8 - length
        except OSError as error:
            raise ConvertError(f"cannot read {self.name}: {error.strerror}") from error

    def unique(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            self.fail("a name appears twice in its header")
        return found

    def tensor(self, name: str, entry: object, start: int) -> SourceTensor:
        if not isinstance(entry, dict):
            self.fail(f"tensor {shown(name)} is not described by an object")
        dtype, shape = entry.get("dtype"), self.integers(name, entry.get("shape"))
        offsets = self.integers(name, entry.get("data_offsets"))
        if not isinstance(dtype, str) or dtype not in DTYPES:
            self.fail(f"tensor {shown(name)} has the unknown type {shown(dtype)}")
        if len(offsets) != 2 or offsets[0] > offsets[1]:
            self.fail(f"tensor {shown(name)} has bad offsets")
        nbytes = offsets[1] - offsets[0]
        if math.prod(shape) * DTYPES[dtype] != nbytes * 8:
            self.fail(f"tensor {shown(name)} has {nbytes} bytes, which do not fit its shape")
        return SourceTensor(name, dtype, tuple(shape), self.path, start + offsets[0], nbytes)

    def integers(self, name: str, value: object) -> list[int]:
        if not isinstance(value, list) or any(type(item) is not int or item < 0 for item in value):
            self.fail(f"tensor {shown(name)} has a bad shape or bad offsets")
        return value

    def check_layout(self, tensors: list[SourceTensor], start: int, end: int) -> None:
        """The tensors must cover the data exactly: no overlap, no hole, nothing behind the end."""
        position = start
        for tensor in sorted(tensors, key=lambda tensor: (tensor.offset, tensor.nbytes)):
            if tensor.offset < position:
                self.fail(f"tensor {shown(tensor.name)} overlaps another")
            if tensor.offset > position:
                self.fail(f"there is a hole before tensor {shown(tensor.name)}")
            position += tensor.nbytes
            if position > end:
                self.fail(f"tensor {shown(tensor.name)} runs past the end of the file")
        if position != end:
            self.fail(f"{end - position} bytes at its end belong to no tensor")
