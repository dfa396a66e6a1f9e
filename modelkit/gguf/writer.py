"""Writing a GGUF file (version 3) front to back, to anything with a write() method.

Header, metadata, tensor descriptions, then each tensor's bytes: nothing is ever rewritten, so the
file can be hashed or sent while it is made.
"""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from modelkit.errors import GGUFError
from modelkit.gguf.types import (
    DEFAULT_ALIGNMENT,
    MAGIC,
    MAX_TENSOR_NAME,
    SCALAR_CODES,
    VERSION,
    TensorType,
    Value,
    ValueType,
)

Buffer = bytes | bytearray | memoryview


class SupportsWrite(Protocol):
    """Takes the file's bytes in order; all of a buffer, or an exception."""

    def write(self, data: Buffer, /) -> object: ...


@dataclass(frozen=True)
class TensorPlan:
    """A tensor to be written; `shape` has the fastest dimension first."""

    name: str
    type: TensorType
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return self.type.nbytes(math.prod(self.shape))


class GGUFWriter:
    """Writes the header when made, then one tensor per `write_tensor`, in the order of the plan.

    Call `finish` at the end. Raises GGUFError when a value does not fit its type or the data does
    not fit the plan.
    """

    def __init__(
        self, out: SupportsWrite, metadata: Mapping[str, Value], tensors: Sequence[TensorPlan]
    ) -> None:
        self._out = out
        self._waiting = list(reversed(tensors))
        header = b"".join(
            (
                MAGIC,
                struct.pack("<IQQ", VERSION, len(tensors), len(metadata)),
                *(_pair(key, value) for key, value in metadata.items()),
                *_descriptions(tensors),
            )
        )
        out.write(header + _padding(len(header)))

    def write_tensor(self, chunks: Iterable[Buffer]) -> None:
        """Write the next tensor; `chunks` together hold exactly its bytes."""
        if not self._waiting:
            raise GGUFError("more tensors than the header announced")
        plan = self._waiting.pop()
        written = 0
        for chunk in chunks:
            written += memoryview(chunk).nbytes
            if written > plan.nbytes:
                break
            self._out.write(chunk)
        if written != plan.nbytes:
            raise GGUFError(f"tensor {plan.name} has {written} bytes instead of {plan.nbytes}")
        self._out.write(_padding(written))

    def finish(self) -> None:
        """Check that every announced tensor was written."""
        if self._waiting:
            raise GGUFError(f"tensor {self._waiting[-1].name} was never written")


def _padding(length: int) -> bytes:
    return bytes(-length % DEFAULT_ALIGNMENT)


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _pair(key: str, value: Value) -> bytes:
    try:
        return _text(key) + struct.pack("<I", value.type) + _payload(value)
    except (struct.error, OverflowError, UnicodeEncodeError, TypeError) as error:
        kind = value.type.name.lower()
        raise GGUFError(f"the value of {key} cannot be written as {kind}: {error}") from error


def _payload(value: Value) -> bytes:
    if value.type is not ValueType.ARRAY:
        return _items(value.type, [value.value])
    if value.item is None or not isinstance(value.value, list):
        raise TypeError("an array needs a list and an item type")
    head = struct.pack("<IQ", value.item, len(value.value))
    return head + _items(value.item, value.value)


def _items(kind: ValueType, items: list[object]) -> bytes:
    if kind is ValueType.STRING:
        return b"".join(_text(str(item)) for item in items)
    return struct.pack(f"<{len(items)}{SCALAR_CODES[kind]}", *items)


def _descriptions(tensors: Sequence[TensorPlan]) -> Iterable[bytes]:
    """The tensor descriptions, with offsets counted from the start of the data."""
    offset = 0
    for plan in tensors:
        if len(plan.name.encode()) > MAX_TENSOR_NAME:
            raise GGUFError(f"the tensor name {plan.name} is longer than {MAX_TENSOR_NAME} bytes")
        rank = len(plan.shape)
        yield _text(plan.name)
        yield struct.pack(f"<I{rank}QIQ", rank, *plan.shape, plan.type.id, offset)
        offset += plan.nbytes + -plan.nbytes % DEFAULT_ALIGNMENT
