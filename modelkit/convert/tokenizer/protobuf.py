"""The few lines of protobuf that reading a SentencePiece model takes."""

from collections.abc import Iterator

from modelkit.errors import ConvertError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) pairs; a value is an integer, or bytes for all but varints.

    Raises ConvertError when the message is cut off or uses what SentencePiece does not.
    """
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(data, position)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, position = _varint(data, position)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise _invalid()
        if length > len(data) - position:
            raise _invalid()
        yield key >> 3, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _invalid()


def _invalid() -> ConvertError:
    return ConvertError("tokenizer.model is not a valid SentencePiece model")
