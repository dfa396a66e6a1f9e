"""Request bodies into structs: a field of the wrong type, or that nobody knows, is an error."""

import re
from typing import TypeVar

import msgspec

from modelkit.serve.api.codec import parse, text_of
from modelkit.serve.api.errors import ApiError
from modelkit.serve.api.reader import read_bytes
from modelkit.serve.openai.errors import FieldError

T = TypeVar("T", bound=msgspec.Struct)

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*?)`(?: - at `\$\.?(?P<at>.*)`)?")
_MISSING = re.compile(r"Object missing required field `(?P<name>.*?)`(?: - at `\$\.?(?P<at>.*)`)?")
_MISMATCH = re.compile(
    r"Expected `(?P<want>[^`]*)`, got `(?P<got>\w+)`(?: - at `\$\.?(?P<at>.*)`)?"
)
_KINDS = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


async def read(kind: type[T]) -> T:
    """This request's JSON body; raises ApiError 400 or 413, FieldError.

    Keys match exactly; a struct that forbids unknown fields has them named.
    """
    text = text_of(await read_bytes())
    if not text:
        raise ApiError(400, "EOF")
    return convert(parse(text), kind)


def convert(value: object, kind: type[T], where: str = "") -> T:
    """A part of a body as a struct; `where` is its place in it. Raises FieldError."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _field_error(str(error), where) from error


def _field_error(message: str, where: str) -> FieldError:
    if found := _UNKNOWN.match(message):
        field = _path(where, found["at"], found["name"])
        text = f"Unrecognized request argument supplied: {field}"
        return FieldError(field, text, "unknown_parameter")
    if found := _MISSING.match(message):
        field = _path(where, found["at"], found["name"])
        text = f"Missing required parameter: '{field}'"
        return FieldError(field, text, "missing_required_parameter")
    if found := _MISMATCH.match(message):
        field = _path(where, found["at"])
        kinds = [kind for kind in found["want"].split(" | ") if kind != "null"]
        want = " or ".join(_KINDS.get(kind, kind) for kind in kinds)
        got = _KINDS.get(found["got"], found["got"])
        text = f"Invalid type for '{field or 'body'}': expected {want}, but got {got} instead"
        return FieldError(field or None, text, "invalid_type")
    field = _path(where, message.rpartition("`$.")[2].removesuffix("`"))
    return FieldError(field, f"Invalid value for '{field}': {message}", "invalid_value")


def _path(*parts: str | None) -> str:
    return ".".join(part for part in parts if part)
