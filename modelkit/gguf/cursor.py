"""Reading little-endian values from an untrusted stream, within its size and within limits."""

import os
import struct
from typing import BinaryIO, NoReturn

from modelkit.errors import GGUFError

MAX_HEADER = 256 << 20  # bytes; the largest real vocabularies need under 20 MB
MAX_STRING = 16 << 20  # bytes
_WINDOW = 1 << 20
_LENGTH = struct.Struct("<Q")


class Cursor:
    """A bounds-checked position in a stream of known size; raises GGUFError outside of it.

    Bytes read so far are kept, so memory is what the header really takes in the file.
    """

    def __init__(self, stream: BinaryIO, where: str) -> None:
        self.where = where
        self.size = stream.seek(0, os.SEEK_END)
        self.offset = 0
        self._stream = stream
        self._buffer = bytearray()
        stream.seek(0)

    def fail(self, what: str) -> NoReturn:
        """Raise the one-line error for this file."""
        raise GGUFError(
            f"not a valid GGUF file: {what}, {self.where}",
            hint="the file is damaged or incomplete; copy or download it again",
        )

    def need(self, count: int, what: str) -> None:
        """Check that `count` more bytes exist in the file and within the header limit."""
        if count > self.size - self.offset:
            self.fail(f"{what} runs past the end of the file")
        if self.offset + count > MAX_HEADER:
            self.fail(f"the header is larger than {MAX_HEADER >> 20} MiB")

    def skip(self, count: int, what: str) -> int:
        """Move over `count` bytes and return where they start in the buffer."""
        start = self.offset
        end = start + count
        if len(self._buffer) < end:
            self.need(count, what)
            self._read_to(end)
        self.offset = end
        return start

    def _read_to(self, end: int) -> None:
        """Make the buffer hold at least the first `end` bytes."""
        while len(self._buffer) < end:
            piece = self._stream.read(max(_WINDOW, end - len(self._buffer)))
            if not piece:
                self.fail("the file became shorter while it was read")
            self._buffer += piece

    def take(self, count: int, what: str) -> bytes:
        """The next `count` bytes."""
        start = self.skip(count, what)
        return bytes(self._buffer[start : start + count])

    def unpack(self, code: str, count: int, what: str) -> tuple[int | float, ...]:
        """The next `count` values of struct code `code`."""
        start = self.skip(struct.calcsize("<" + code) * count, what)
        return struct.unpack_from(f"<{count}{code}", self._buffer, start)

    def uint32(self, what: str) -> int:
        start = self.skip(4, what)
        return int.from_bytes(self._buffer[start : start + 4], "little")

    def uint64(self, what: str) -> int:
        start = self.skip(8, what)
        return int.from_bytes(self._buffer[start : start + 8], "little")

    def string(self, what: str, limit: int = MAX_STRING) -> bytes:
        """A length-prefixed byte string of at most `limit` bytes."""
        start, length = self._skip_string(what, limit)
        return bytes(self._buffer[start : start + length])

    def strings(self, count: int, what: str) -> list[bytes]:
        """The next `count` strings."""
        self.need(8 * count, what)
        return [self.string(what) for _ in range(count)]

    def skip_strings(self, count: int, what: str) -> None:
        """Check the next `count` strings without keeping them."""
        self.need(8 * count, what)
        for _ in range(count):
            self._skip_string(what, MAX_STRING)

    def _skip_string(self, what: str, limit: int) -> tuple[int, int]:
        (length,) = _LENGTH.unpack_from(self._buffer, self.skip(8, what))
        if length > limit:
            self.fail(f"{what} claims {length} bytes")
        return self.skip(length, what), length
