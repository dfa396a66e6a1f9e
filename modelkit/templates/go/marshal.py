"""The function json: values as Go's encoding/json writes them."""

import json
import re

from modelkit import gojson
from modelkit.templates.go.quoting import joined
from modelkit.templates.go.values import Marshaler

_SURROGATE = re.compile("[\ud800-\udfff]")


def marshal(value: object) -> str:
    """Compact JSON, the keys of maps sorted; the empty text for what JSON cannot hold."""
    parts: list[str] = []
    try:
        _write(value, parts, sort=True)
    except ValueError:
        return ""
    return "".join(parts)


def _write(value: object, parts: list[str], *, sort: bool) -> None:
    match value:
        case None:
            parts.append("null")
        case bool():
            parts.append("true" if value else "false")
        case int():
            parts.append(str(int(value)))
        case float():
            parts.append(gojson.format_float(value))
        case str():
            parts.append(_text(value))
        case Marshaler():
            _write(value.go_json(), parts, sort=False)
        case dict():
            _write_map(value, parts, sort)
        case list() | tuple():
            _write_slice(value, parts, sort)
        case _:
            raise ValueError(f"JSON cannot hold a {type(value).__name__}")


def _write_map(value: "dict[str, object]", parts: list[str], sort: bool) -> None:
    opening = "{"
    for key in sorted(value) if sort else value:
        parts.append(f"{opening}{_text(key)}:")
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


def _text(text: str) -> str:
    if not text.isascii():
        text = joined([text])
    written = gojson.escape_html(json.dumps(text, ensure_ascii=False))
    return written if written.isascii() else _SURROGATE.sub(r"\\ufffd", written)
