"""Arguments between tags of their own, as Qwen3-Coder writes them: text or JSON, by the schema."""

from collections.abc import Mapping
from typing import Any

import msgspec

from modelkit.serve.runner.grammar.keywords import is_silent

_PLAIN = frozenset({"type", "enum", "const", "minLength", "maxLength"})
_NULLS = ("null", "none")


def is_raw(schema: object) -> bool:
    """Is a value of this schema written as it is, without quotes? So are strings of any length."""
    if not isinstance(schema, Mapping) or schema.get("type") != "string":
        return False
    return all(key in _PLAIN or is_silent(key, value) for key, value in schema.items())


def decode_value(text: str, schema: object) -> Any:
    """What a model means by the text of an argument: JSON when the schema has such values."""
    if is_raw(schema):
        return text
    for spelling in (text, text.strip().lower()):
        try:
            value = msgspec.json.decode("null" if spelling in _NULLS else spelling)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
        if _fits(value, schema):
            return value
    return text


def _fits(value: object, schema: object) -> bool:
    types = schema.get("type") if isinstance(schema, Mapping) else None
    if types is None:
        return True
    names = [types] if isinstance(types, str) else types
    return any(_is_type(value, name) for name in names)


def _is_type(value: object, name: str) -> bool:
    match value:
        case None:
            return name == "null"
        case bool():
            return name == "boolean"
        case int() | float():
            return name == "number" or (name == "integer" and float(value).is_integer())
        case str():
            return name == "string"
        case list():
            return name == "array"
    return name == "object"
