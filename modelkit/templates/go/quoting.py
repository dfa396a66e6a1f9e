"""Quoted text as Go writes and reads it. A Go string is bytes: here, a str whose bytes that are not
UTF-8 are lone surrogates U+DC80 to U+DCFF, as Python's "surrogateescape" makes them."""

import re

_NAMED = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 92: "\\\\"}
_VALUES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "\\": 92}
_ESCAPE = re.compile(
    r"""\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([abtnvfr\\'"]))"""
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_A_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_NO_BACKQUOTE = re.compile("[\x00-\x08\x0a-\x1f`\x7f\ufeff\ud800-\udfff]")


def encode(text: str) -> bytes:
    """The bytes of a Go string."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _NOT_A_BYTE.sub("\ufffd", text).encode("utf-8", "surrogateescape")


def decode(data: bytes) -> str:
    """A Go string of these bytes."""
    return data.decode("utf-8", "surrogateescape")


def joined(parts: list[str]) -> str:
    """The parts as one Go string; bytes of one character that were apart find together again."""
    text = "".join(parts)
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return decode(encode(text))


def printable(text: str) -> str:
    """A Go string as plain text; each byte that is not UTF-8 becomes U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", joined([text]))


def unquote(literal: str) -> str:
    """The value of a `"…"` or backquoted literal; raises ValueError for an escape Go rejects."""
    body = literal[1:-1]
    if literal[0] == "`":
        return body.replace("\r", "")
    if "\\" not in body:
        return body
    data, position = bytearray(), 0
    while (found := body.find("\\", position)) >= 0:
        data += body[position:found].encode()
        value, is_byte, position = _escape(body, found, '"')
        data += bytes([value]) if is_byte else chr(value).encode()
    return decode(bytes(data + body[position:].encode()))


def unquote_char(literal: str) -> int:
    """The code point of a `'…'` literal; raises ValueError when it is not one character."""
    body = literal[1:-1]
    if body.startswith("\\"):
        value, _, end = _escape(body, 0, "'")
        if end == len(body):
            return value
    elif len(body) == 1:
        return ord(body)
    raise ValueError(f"malformed character constant: {literal}")


def _escape(text: str, position: int, mark: str) -> tuple[int, bool, int]:
    """The escape at `position`: its value, whether that is a byte, and where it ends."""
    match = _ESCAPE.match(text, position)
    if not match:
        raise ValueError("invalid syntax")
    hexadecimal, octal, short, long, named = match.groups()
    if named in ("'", '"'):
        value = ord(named) if named == mark else -1
    else:
        value = (
            _VALUES[named] if named else int(hexadecimal or octal or short or long, _base(octal))
        )
    is_byte = bool(hexadecimal or octal)
    limit = 0xFF if is_byte else 0x10FFFF
    if not 0 <= value <= limit or 0xD800 <= value <= 0xDFFF:
        raise ValueError("invalid syntax")
    return value, is_byte, match.end()


def _base(octal: str | None) -> int:
    return 8 if octal else 16


def quote(text: str, mark: str = '"', *, ascii_only: bool = False) -> str:
    """Text in quotes, with Go's escapes for what does not print."""
    if mark not in text and "\\" not in text and _plain(text, ascii_only):
        return f"{mark}{text}{mark}"
    return mark + "".join(_quoted(c, mark, ascii_only) for c in text) + mark


def can_backquote(text: str) -> bool:
    """Whether text can stand between backquotes as it is."""
    return not _NO_BACKQUOTE.search(text)


def _plain(text: str, ascii_only: bool) -> bool:
    return text.isprintable() and (text.isascii() or not ascii_only)


def _quoted(character: str, mark: str, ascii_only: bool) -> str:
    code = ord(character)
    if character == mark:
        return "\\" + mark
    if code in _NAMED:
        return _NAMED[code]
    if _plain(character, ascii_only):
        return character
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if 0xD800 <= code <= 0xDFFF:
        code = 0xFFFD
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
