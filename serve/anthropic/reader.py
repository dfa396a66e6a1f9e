"""Bodies as strictly as Anthropic reads them: an unknown field or a wrong type is named."""

import re
from typing import TypeVar

import msgspec

from modelkit.serve.api.errors import ApiError
from modelkit.serve.api.reader import read_bytes

T = TypeVar("T", bound=msgspec.Struct)

_PLACE = re.compile(r" - at `(?:key in )?\$\.?(?P<at>[^`]*)`$")
_COMPLAINTS = (
    (re.compile("Object contains unknown field `(.*)`"), "not supported"),
    (re.compile("Object missing required field `(.*)`"), "field required"),
)


async def read(kind: type[T]) -> T:
    """This request's JSON body; raises ApiError 400 that names the field, or 413."""
    return decode(await read_bytes(), kind)


def decode(body: bytes, kind: type[T]) -> T:
    """A body as a struct; raises ApiError 400."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise ApiError(400, _explain(str(error))) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"invalid JSON: {error}") from error


def convert(value: object, kind: type[T], at: str) -> T:
    """A part of a body, found at that path, as a struct; raises ApiError 400."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ApiError(400, _explain(str(error), at)) from error


def _explain(text: str, base: str = "") -> str:
    """msgspec's complaint in Anthropic's form: the path with dots, a colon, what is wrong."""
    place = _PLACE.search(text)
    what = text[: place.start()] if place else text
    inner = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", place["at"]).strip(".") if place else ""
    path = [base, inner]
    for pattern, complaint in _COMPLAINTS:
        if found := pattern.fullmatch(what):
            path += found.groups()
            what = complaint
    at = ".".join(filter(None, path))
    return f"{at}: {what}" if at else what
