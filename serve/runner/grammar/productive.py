"""Schemas that only an endless value would satisfy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NESTED = {"array", "object"}


def endless(definitions: Mapping[str, Any]) -> list[str]:
    """The names of definitions that no finite value matches, such as an object that requires
    itself. References must have the form #/$defs/<name>.
    """
    finite: set[str] = set()
    waiting = list(definitions)
    while True:
        # Backwards: what is named later is usually what ends.
        for name in reversed(waiting):
            if _is_finite(definitions[name], finite):
                finite.add(name)
        left = [name for name in waiting if name not in finite]
        if len(left) == len(waiting):
            return left
        waiting = left


def _is_finite(schema: Any, finite: set[str]) -> bool:
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema and schema["$ref"].rpartition("/")[2] not in finite:
        return False
    for key in ("anyOf", "oneOf"):
        if key in schema and not any(_is_finite(option, finite) for option in schema[key]):
            return False
    if not all(_is_finite(part, finite) for part in schema.get("allOf", ())):
        return False
    types = schema.get("type", ())
    types = {types} if isinstance(types, str) else set(types)
    if "const" in schema or "enum" in schema or not types or types - _NESTED:
        return True
    return ("object" in types and _object_ends(schema, finite)) or (
        "array" in types and _array_ends(schema, finite)
    )


def _object_ends(schema: Mapping[str, Any], finite: set[str]) -> bool:
    known = schema.get("properties", {})
    rest = schema.get("additionalProperties", True)
    needed = schema.get("required", ())
    return all(_is_finite(known.get(name, rest), finite) for name in needed)


def _array_ends(schema: Mapping[str, Any], finite: set[str]) -> bool:
    count = schema.get("minItems", 0)
    first = schema.get("prefixItems", [])
    needed = first[:count]
    if count > len(first):
        needed = [*first, schema.get("items", True)]
    return all(_is_finite(item, finite) for item in needed)
