"""Reading the header of a GGUF file (versions 2 and 3) that nobody has vouched for.

Every count, length, offset and dimension is compared with the size of the file before it is used.
Neither numpy nor the `gguf` package is imported.
"""

import math
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from modelkit.errors import GGUFError
from modelkit.gguf.cursor import Cursor
from modelkit.gguf.types import (
    DEFAULT_ALIGNMENT,
    MAGIC,
    MAX_DIMENSIONS,
    MAX_TENSOR_NAME,
    SCALAR_CODES,
    TENSOR_TYPES,
    TensorType,
    ValueType,
)

MAX_KEY = (1 << 16) - 1  # bytes, from the specification
MAX_ARRAY_ITEMS = 4 << 20  # in all arrays together; the largest real vocabularies have 1.5 million
_SMALLEST_PAIR = 8 + 1 + 4 + 1
_SMALLEST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8


@dataclass(frozen=True)
class TensorInfo:
    """One tensor; `shape` has the fastest dimension first, `offset` counts from the file start."""

    name: str
    type: str
    type_id: int
    shape: tuple[int, ...]
    offset: int
    nbytes: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class GGUFHeader:
    """What a GGUF file says about itself.

    `metadata` holds numbers, booleans, strings and lists; lists are None when they were not asked
    for. `kinds` names each value's type: "uint32", "string", "[string]". Bytes that are not UTF-8
    in a string value are replaced by U+FFFD.
    """

    version: int
    metadata: dict[str, object]
    kinds: dict[str, str]
    tensors: tuple[TensorInfo, ...]
    alignment: int
    data_offset: int

    @property
    def architecture(self) -> str:
        """`general.architecture`, or an empty string."""
        value = self.metadata.get("general.architecture")
        return value if isinstance(value, str) else ""

    @property
    def parameter_count(self) -> int:
        """Number of elements in all tensors."""
        return sum(tensor.elements for tensor in self.tensors)


def read_header(source: Path | BinaryIO, *, arrays: bool = True) -> GGUFHeader:
    """Read and check the header of a GGUF file, without its tensor data.

    A stream is read from its start and must be seekable. With `arrays=False` arrays are checked
    but not kept. Raises GGUFError for anything invalid, unreadable or out of bounds.
    """
    where = str(source) if isinstance(source, Path) else str(getattr(source, "name", "stream"))
    try:
        with source.open("rb") if isinstance(source, Path) else nullcontext(source) as stream:
            return _HeaderReader(Cursor(stream, where), keep_arrays=arrays).read()
    except OSError as error:
        raise GGUFError(f"cannot read the GGUF file: {error.strerror}, {where}") from error


class _HeaderReader:
    """Reads the parts of the header in file order."""

    def __init__(self, cursor: Cursor, *, keep_arrays: bool) -> None:
        self.cursor = cursor
        self.keep_arrays = keep_arrays
        self.items_left = MAX_ARRAY_ITEMS
        self.metadata: dict[str, object] = {}
        self.kinds: dict[str, str] = {}

    def read(self) -> GGUFHeader:
        cursor = self.cursor
        version = self.version()
        tensor_count = cursor.uint64("the tensor count")
        pair_count = cursor.uint64("the metadata count")
        cursor.need(pair_count * _SMALLEST_PAIR, f"the list of {pair_count} metadata values")
        for _ in range(pair_count):
            self.pair()
        alignment = self.alignment()
        cursor.need(tensor_count * _SMALLEST_TENSOR, f"the list of {tensor_count} tensors")
        tensors = [self.tensor(alignment) for _ in range(tensor_count)]
        start = -(-cursor.offset // alignment) * alignment
        return GGUFHeader(
            version, self.metadata, self.kinds, self.placed(tensors, start), alignment, start
        )

    def version(self) -> int:
        cursor = self.cursor
        if cursor.take(min(4, cursor.size), "the magic") != MAGIC:
            cursor.fail("it does not start with GGUF")
        version = cursor.uint32("the version")
        if version & 0xFFFF == 0:
            cursor.fail("it is big-endian")
        if version not in (2, 3):
            cursor.fail(f"version {version} is not supported")
        return version

    def pair(self) -> None:
        key = self.text("a metadata key", MAX_KEY)
        if key in self.metadata:
            self.cursor.fail(f"the key {_quoted(key)} appears twice")
        kind = self.value_type(key)
        if kind is ValueType.ARRAY:
            item = self.value_type(key)
            self.kinds[key] = f"[{item.name.lower()}]"
            self.metadata[key] = self.array(key, item)
        else:
            self.kinds[key] = kind.name.lower()
            self.metadata[key] = self.scalars(key, kind, 1)[0]

    def text(self, what: str, limit: int) -> str:
        """A non-empty name: valid UTF-8 of at most `limit` bytes."""
        raw = self.cursor.string(what, limit)
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            self.cursor.fail(f"{what} is not UTF-8")
        if not text:
            self.cursor.fail(f"{what} is empty")
        return text

    def value_type(self, key: str) -> ValueType:
        number = self.cursor.uint32(f"the type of {_quoted(key)}")
        try:
            return ValueType(number)
        except ValueError:
            self.cursor.fail(f"{_quoted(key)} has the unknown type {number}")

    def array(self, key: str, item: ValueType) -> list[object] | None:
        if item is ValueType.ARRAY:
            self.cursor.fail(f"{_quoted(key)} is an array of arrays")
        count = self.cursor.uint64(f"the length of {_quoted(key)}")
        self.items_left -= count
        if self.items_left < 0:
            self.cursor.fail(f"{_quoted(key)} claims {count} items, which is too many")
        if self.keep_arrays or item is not ValueType.STRING:
            values = self.scalars(key, item, count)
            return values if self.keep_arrays else None
        self.cursor.skip_strings(count, f"the value of {_quoted(key)}")
        return None

    def scalars(self, key: str, kind: ValueType, count: int) -> list[object]:
        what = f"the value of {_quoted(key)}"
        if kind is ValueType.STRING:
            return [raw.decode(errors="replace") for raw in self.cursor.strings(count, what)]
        values: list[object] = list(self.cursor.unpack(SCALAR_CODES[kind], count, what))
        if kind is not ValueType.BOOL:
            return values
        if any(value not in (0, 1) for value in values):
            self.cursor.fail(f"{_quoted(key)} is neither true nor false")
        return [value == 1 for value in values]

    def alignment(self) -> int:
        value = self.metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if self.kinds.get("general.alignment", "uint32") != "uint32" or not isinstance(value, int):
            self.cursor.fail("general.alignment is not a uint32")
        if value == 0 or value & (value - 1):
            self.cursor.fail("general.alignment is not a power of two")
        return value

    def tensor(self, alignment: int) -> TensorInfo:
        """One tensor description; its offset still counts from the start of the data."""
        cursor = self.cursor
        name = self.text("a tensor name", MAX_TENSOR_NAME)
        what = f"tensor {_quoted(name)}"
        dimensions = cursor.uint32(what)
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            cursor.fail(f"{what} has {dimensions} dimensions")
        shape = tuple(cursor.uint64(what) for _ in range(dimensions))
        number = cursor.uint32(what)
        if number not in TENSOR_TYPES:
            cursor.fail(f"{what} has the unknown type {number}")
        offset = cursor.uint64(what)
        if offset % alignment:
            cursor.fail(f"{what} is not aligned to {alignment} bytes")
        kind = TENSOR_TYPES[number]
        return TensorInfo(name, kind.name, number, shape, offset, self.nbytes(what, kind, shape))

    def nbytes(self, what: str, kind: TensorType, shape: tuple[int, ...]) -> int:
        elements = math.prod(shape)
        if elements == 0:
            self.cursor.fail(f"{what} has a dimension of zero")
        if shape[0] % kind.block:
            self.cursor.fail(
                f"rows of {what} are no multiple of {kind.block}, as {kind.name} needs"
            )
        return kind.nbytes(elements)

    def placed(self, tensors: list[TensorInfo], start: int) -> tuple[TensorInfo, ...]:
        """The tensors with offsets in the file, once names and places are known to be sound."""
        if len({tensor.name for tensor in tensors}) != len(tensors):
            self.cursor.fail("a tensor name appears twice")
        end = 0
        for tensor in sorted(tensors, key=lambda tensor: tensor.offset):
            if tensor.offset < end:
                self.cursor.fail(f"tensor {_quoted(tensor.name)} overlaps another")
            end = tensor.offset + tensor.nbytes
            if start + end > self.cursor.size:
                self.cursor.fail(f"tensor {_quoted(tensor.name)} runs past the end of the file")
        return tuple(_moved(tensor, start) for tensor in tensors)


def _moved(tensor: TensorInfo, start: int) -> TensorInfo:
    return TensorInfo(
        tensor.name,
        tensor.type,
        tensor.type_id,
        tensor.shape,
        start + tensor.offset,
        tensor.nbytes,
    )


def _quoted(name: str) -> str:
    """A name for a message: on one line and never long."""
    return ascii(name if len(name) <= MAX_TENSOR_NAME else name[:MAX_TENSOR_NAME] + "...")
