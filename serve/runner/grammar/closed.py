"""Objects keep to the properties that their schema names.

Without `additionalProperties` JSON Schema allows any other key, and a model in doubt writes one
after the other until its tokens are used up. What fits the closed schema fits the open one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_COMBINING = {"$ref", "allOf", "anyOf"}
_OF_OBJECTS = {"properties", "patternProperties", "additionalProperties", "required"}


def close_objects(definitions: dict[str, Any]) -> None:
    """Add `additionalProperties: false` where other keys are neither named nor asked for.

    Nothing changes when keys of one object are described in several places (`allOf`, or `anyOf`
    beside `properties`): each place would forbid the others' keys.
    """
    schemas = [schema for value in definitions.values() for schema in _within(value)]
    if any(_COMBINING & schema.keys() and _is_part(schema) for schema in schemas):
        return
    for schema in schemas:
        if _is_complete(schema):
            schema["additionalProperties"] = False


def _is_part(schema: dict[str, Any]) -> bool:
    return "allOf" in schema or bool(_OF_OBJECTS & schema.keys())


def _is_complete(schema: dict[str, Any]) -> bool:
    named: dict[str, Any] | None = schema.get("properties")
    if not named or "additionalProperties" in schema or "patternProperties" in schema:
        return False
    if schema.get("minProperties", 0) > len(named):
        return False
    return set(schema.get("required", ())) <= named.keys()


def _within(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all schemas inside it; what a $ref names is a definition of its own."""
    if not isinstance(schema, dict):
        return
    yield schema
    for keyword in ("properties", "patternProperties"):
        for inner in schema.get(keyword, {}).values():
            yield from _within(inner)
    for keyword in ("items", "additionalProperties"):
        yield from _within(schema.get(keyword))
    for keyword in ("allOf", "anyOf", "prefixItems"):
        for inner in schema.get(keyword, ()):
            yield from _within(inner)
