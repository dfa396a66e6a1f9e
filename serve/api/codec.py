"""JSON as Go's encoding/json reads and writes it, so that every client meets what it expects."""

import json
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from modelkit.serve.api.errors import ApiError

T = TypeVar("T", bound=msgspec.Struct)

_SPACE = " \t\r\n"
_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)
_ESCAPED = re.compile(b"|".join(plain for plain, _ in _ESCAPES))
_KINDS = {
    "int": "number",
    "float": "number",
    "str": "string",
    "bool": "bool",
    "array": "array",
    "object": "object",
}
_MISMATCH = re.compile(
    r"Expected `(?P<want>[^`]*)`, got `(?P<got>\w+)`(?: - at `\$\.?(?P<at>.*)`)?"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_TO_THE_SECOND = "%Y-%m-%dT%H:%M:%S"
_encoder = msgspec.json.Encoder()


def decode(body: bytes, kind: type[T]) -> T:
    """One request body as a struct; raises ApiError 400.

    Go's rules: one JSON value, whatever follows it is ignored; keys match without regard to case;
    unknown keys are ignored; null leaves a field unset, and `null` alone is an empty object.
    """
    if not (text := text_of(body)):
        raise ApiError(400, "missing request body")
    value = parse(text)
    try:
        return msgspec.convert(_fold({} if value is None else value, _fields(kind)), kind)
    except msgspec.ValidationError as error:
        raise ApiError(400, _mismatch(str(error), kind.__name__)) from error


def encode(value: object) -> bytes:
    """Compact JSON with `<`, `>`, `&`, U+2028 and U+2029 escaped."""
    data = _encoder.encode(value)
    # Outside strings none of these bytes occurs in JSON, and seldom inside.
    if _ESCAPED.search(data):
        for plain, escaped in _ESCAPES:
            data = data.replace(plain, escaped)
    return data


def timestamp(nanoseconds: int | None = None, *, local: bool = False) -> str:
    """RFC 3339 with up to nine fractional digits; now and UTC unless told otherwise."""
    seconds, fraction = divmod(time.time_ns() if nanoseconds is None else nanoseconds, 10**9)
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    if not local:
        return f"{_to_the_second(seconds)}{digits}Z"
    moment = time.localtime(seconds)
    return time.strftime(_TO_THE_SECOND, moment) + digits + _offset(moment.tm_gmtoff)


@lru_cache(maxsize=8)
def _to_the_second(seconds: int) -> str:
    """In UTC; the pieces of all streams ask for the same ones."""
    return time.strftime(_TO_THE_SECOND, time.gmtime(seconds))


def _offset(seconds: int) -> str:
    if seconds == 0:
        return "Z"
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02d}:{minutes:02d}"


def text_of(body: bytes) -> str:
    """The body as text without the space before it; what is not UTF-8 is replaced."""
    return body.decode("utf-8", "replace").lstrip(_SPACE)


def parse(text: str) -> Any:
    """The JSON value that a text begins with; raises ApiError 400 with Go's words."""
    try:
        value, _ = _DECODER.raw_decode(text)
    except json.JSONDecodeError as error:
        raise ApiError(400, _syntax(error)) from error
    except RecursionError as error:
        raise ApiError(400, "exceeded max depth") from error
    except ValueError as error:  # an integer of thousands of digits
        raise ApiError(400, "json: cannot unmarshal number: value out of range") from error
    return _scrub(value) if "\\ud" in text or "\\uD" in text else value


def _not_a_number(constant: str) -> object:
    raise ApiError(400, f"invalid character '{constant[0]}' looking for beginning of value")


_DECODER = json.JSONDecoder(parse_constant=_not_a_number)

_EXPECTING = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name": "looking for beginning of object key string",
    "Expecting ':'": "after object key",
    "Expecting ','": "after object key:value pair or array element",
    "Invalid control character": "in string literal",
    "Invalid \\escape": "in string escape code",
}


def _syntax(error: json.JSONDecodeError) -> str:
    if error.pos >= len(error.doc) or error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    found = error.doc[error.pos]
    place = next((text for start, text in _EXPECTING.items() if error.msg.startswith(start)), None)
    return f"invalid character '{found}' {place or error.msg}"


def _scrub(value: Any) -> Any:
    """Replace lone surrogates, which no UTF-8 encoder accepts, as Go does while it reads."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_scrub(item) for item in value]
    if isinstance(value, dict):
        return {_scrub(key): _scrub(item) for key, item in value.items()}
    return value


_Fields = Mapping[str, tuple[str, Any]]


@lru_cache
def _fields(kind: type[msgspec.Struct]) -> _Fields:
    """Lower-case key -> (the key as declared, the fields of the structs inside it, if any)."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - kind is a Struct
    return {f.encode_name.lower(): (f.encode_name, _inner(f.type)) for f in info.fields}


def _inner(kind: inspect.Type) -> _Fields | None:
    if isinstance(kind, inspect.UnionType):
        return next(filter(None, map(_inner, kind.types)), None)
    if isinstance(kind, inspect.ListType):
        return _inner(kind.item_type)
    return _fields(kind.cls) if isinstance(kind, inspect.StructType) else None


def _fold(value: Any, fields: _Fields | None) -> Any:
    """Give known keys their declared spelling and drop nulls, in structs and lists of structs."""
    if fields is None:
        return value
    if isinstance(value, list):
        return [_fold(item, fields) for item in value]
    if not isinstance(value, dict):
        return value
    folded = {}
    for key, item in value.items():
        name, inner = fields.get(key.lower(), (None, None))
        if name is not None and item is not None:
            folded[name] = _fold(item, inner)
    return folded


def _mismatch(message: str, kind: str) -> str:
    found = _MISMATCH.match(message)
    if found is None:
        return f"json: {message}"
    got = _KINDS.get(found["got"], found["got"])
    if not found["at"]:
        return f"json: cannot unmarshal {got} into Go value of type api.{kind}"
    want = found["want"].removesuffix(" | null")
    want = {"str": "string", "array": "[]string", "object": "map"}.get(want, want)
    at = re.sub(r"\[[^\]]*\]", "", found["at"])
    return f"json: cannot unmarshal {got} into Go struct field {kind}.{at} of type {want}"
