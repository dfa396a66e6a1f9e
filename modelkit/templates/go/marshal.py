"""The function json: values as Go's encoding/json writes them."""

import re
from json.encoder import encode_basestring
from typing import cast

from modelkit import gojson
from modelkit.templates.go.quoting import joined
from modelkit.templates.go.values import is_marshaler

_SURROGATE = re.compile("[\ud800-\udfff]")


def marshal(value: object) -> str:
    """Compact JSON, the keys of maps sorted; the empty text for what JSON cannot hold."""
    parts: list[str] = []
    try:
        _write(value, parts, sort=True)
    except ValueError:
        return ""
    text = "".join(parts)
    if text.isascii():
        return gojson.escape_html(text)
    # A byte that is not UTF-8 is written as an escape, a real U+FFFD as itself.
    return _SURROGATE.sub(r"\\ufffd", gojson.escape_html(joined([text])))


def _write(value: object, parts: list[str], *, sort: bool) -> None:
    kind = type(value)
    if kind is str:
        parts.append(encode_basestring(cast("str", value)))
    elif is_marshaler(value):
        _write(value.go_json(), parts, sort=False)
    elif isinstance(value, dict):
        _write_map(value, parts, sort)
    elif isinstance(value, list | tuple):
        _write_slice(value, parts, sort)
    else:
        parts.append(_scalar(value))


def _scalar(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return gojson.format_float(value)
        case str():
            return encode_basestring(value)
    raise ValueError(f"JSON cannot hold a {type(value).__name__}")


def _write_map(value: "dict[str, object]", parts: list[str], sort: bool) -> None:
    opening = "{"
    for key in sorted(value) if sort else value:
        parts.append(opening + encode_basestring(key) + ":")
        _write(value[key], parts, sort=sort)
        opening = ","
    parts.append("}" if value else "{}")


def _write_slice(value: "list[object] | tuple[object, ...]", parts: list[str], sort: bool) -> None:
    opening = "["
    for item in value:
        parts.append(opening)
        _write(item, parts, sort=sort)
        opening = ","
    parts.append("]" if value else "[]")
