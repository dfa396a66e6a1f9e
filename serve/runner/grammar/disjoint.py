"""Which alternatives of a oneOf cannot hold at the same time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any, TypeAlias

import msgspec

Resolve: TypeAlias = Callable[[str], Any]

# Every pair of alternatives is compared.
_MAX_ALTERNATIVES = 200
_TYPES = frozenset({"null", "boolean", "number", "string", "array", "object"})


def all_disjoint(alternatives: list[Any], resolve: Resolve) -> bool:
    """True when no value can match two of the schemas, so that oneOf means anyOf.

    `resolve` finds what a $ref names. False may also mean that it cannot be told.
    """
    if len(alternatives) > _MAX_ALTERNATIVES:
        return False
    schemas = [_follow(schema, resolve) for schema in alternatives]
    return all(_disjoint(a, b) or _told_apart(a, b, resolve) for a, b in combinations(schemas, 2))


def _disjoint(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Have they no type, or none of the values they list, in common?"""
    if not _types(a) & _types(b):
        return True
    values_a, values_b = _values(a), _values(b)
    return values_a is not None and values_b is not None and not values_a & values_b


def _told_apart(a: Mapping[str, Any], b: Mapping[str, Any], resolve: Resolve) -> bool:
    """Are both objects, with a property that one requires and that cannot suit both?"""
    if _types(a) & _types(b) != {"object"}:
        return False
    required = {*a.get("required", ()), *b.get("required", ())}
    shared = required & set(a.get("properties", ())) & set(b.get("properties", ()))
    return any(
        _disjoint(_follow(a["properties"][name], resolve), _follow(b["properties"][name], resolve))
        for name in shared
    )


def _follow(schema: Any, resolve: Resolve) -> Mapping[str, Any]:
    """The schema behind a chain of $refs; one that says nothing when the chain goes round."""
    for _ in range(16):
        if not isinstance(schema, dict):
            return {}
        if "$ref" not in schema:
            return schema
        schema = resolve(schema["$ref"])
    return {}


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is not None:
        return frozenset(_type(value) for value in values)
    given = schema.get("type", [])
    names = [given] if isinstance(given, str) else given
    return frozenset("number" if name == "integer" else name for name in names) or _TYPES


def _type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _values(schema: Mapping[str, Any]) -> frozenset[bytes] | None:
    """The only values a schema has, spelt alike when they are equal; None when it has others."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is None:
        return None
    return frozenset(msgspec.json.encode(_plain(value), order="sorted") for value in values)


def _plain(value: Any) -> Any:
    """1.0 and 1 are the same number in JSON."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
