"""The vocabulary of a GGUF file: metadata value types and tensor types with their block sizes.

Values follow the GGUF specification (version 3) and ggml's type table. The table is our own
because the `gguf` package on the index lacks the newest types.
"""

from enum import IntEnum
from typing import NamedTuple

MAGIC = b"GGUF"
VERSION = 3
DEFAULT_ALIGNMENT = 32
MAX_DIMENSIONS = 4
MAX_TENSOR_NAME = 63  # bytes; ggml keeps names in 64 bytes with a final zero


class ValueType(IntEnum):
    """Type tag of a metadata value."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


# struct codes of the fixed-size values, little-endian as in every file we accept
SCALAR_CODES: dict[ValueType, str] = {
    ValueType.UINT8: "B",
    ValueType.INT8: "b",
    ValueType.UINT16: "H",
    ValueType.INT16: "h",
    ValueType.UINT32: "I",
    ValueType.INT32: "i",
    ValueType.FLOAT32: "f",
    ValueType.BOOL: "B",
    ValueType.UINT64: "Q",
    ValueType.INT64: "q",
    ValueType.FLOAT64: "d",
}


class Value(NamedTuple):
    """A metadata value with its type; `item` is the element type when `type` is ARRAY."""

    type: ValueType
    value: object
    item: ValueType | None = None

    @staticmethod
    def uint32(value: int) -> "Value":
        return Value(ValueType.UINT32, value)

    @staticmethod
    def float32(value: float) -> "Value":
        return Value(ValueType.FLOAT32, value)

    @staticmethod
    def boolean(value: bool) -> "Value":
        return Value(ValueType.BOOL, value)

    @staticmethod
    def string(value: str) -> "Value":
        return Value(ValueType.STRING, value)

    @staticmethod
    def array(item: ValueType, values: list[object]) -> "Value":
        return Value(ValueType.ARRAY, values, item)


class TensorType(NamedTuple):
    """A ggml tensor type: `block` elements are stored in `size` bytes."""

    id: int
    name: str
    block: int
    size: int

    def nbytes(self, elements: int) -> int:
        """Bytes of `elements` elements; `elements` is a multiple of the block."""
        return elements // self.block * self.size


_TABLE = (
    TensorType(0, "F32", 1, 4),
    TensorType(1, "F16", 1, 2),
    TensorType(2, "Q4_0", 32, 18),
    TensorType(3, "Q4_1", 32, 20),
    TensorType(6, "Q5_0", 32, 22),
    TensorType(7, "Q5_1", 32, 24),
    TensorType(8, "Q8_0", 32, 34),
    TensorType(9, "Q8_1", 32, 36),
    TensorType(10, "Q2_K", 256, 84),
    TensorType(11, "Q3_K", 256, 110),
    TensorType(12, "Q4_K", 256, 144),
    TensorType(13, "Q5_K", 256, 176),
    TensorType(14, "Q6_K", 256, 210),
    TensorType(15, "Q8_K", 256, 292),
    TensorType(16, "IQ2_XXS", 256, 66),
    TensorType(17, "IQ2_XS", 256, 74),
    TensorType(18, "IQ3_XXS", 256, 98),
    TensorType(19, "IQ1_S", 256, 50),
    TensorType(20, "IQ4_NL", 32, 18),
    TensorType(21, "IQ3_S", 256, 110),
    TensorType(22, "IQ2_S", 256, 82),
    TensorType(23, "IQ4_XS", 256, 136),
    TensorType(24, "I8", 1, 1),
    TensorType(25, "I16", 1, 2),
    TensorType(26, "I32", 1, 4),
    TensorType(27, "I64", 1, 8),
    TensorType(28, "F64", 1, 8),
    TensorType(29, "IQ1_M", 256, 56),
    TensorType(30, "BF16", 1, 2),
    TensorType(34, "TQ1_0", 256, 54),
    TensorType(35, "TQ2_0", 256, 66),
    TensorType(39, "MXFP4", 32, 17),
    TensorType(40, "NVFP4", 64, 36),
    TensorType(41, "Q1_0", 128, 18),
    TensorType(42, "Q2_0", 64, 18),
)
TENSOR_TYPES: dict[int, TensorType] = {kind.id: kind for kind in _TABLE}
TENSOR_TYPES_BY_NAME: dict[str, TensorType] = {kind.name: kind for kind in _TABLE}
