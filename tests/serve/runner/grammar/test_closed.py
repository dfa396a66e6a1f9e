"""Which objects keep to the properties they name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelkit.serve.runner.grammar.schema import normalise

_NAME = {"type": "object", "properties": {"name": {"type": "string"}}}


def _closed(schema: dict[str, Any]) -> list[bool]:
    """For each object with properties, in the order they are written: is it closed?"""
    found: list[bool] = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("properties"), dict):
                found.append(value.get("additionalProperties") is False)
            for inner in value.values():
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    look(normalise(json.dumps(schema))["$defs"])
    return found


def test_an_object_with_properties_is_closed_at_every_level() -> None:
    inner = {"type": "object", "properties": {"inner": _NAME}}
    assert _closed({"type": "array", "items": inner}) == [True, True]
    assert _closed({"anyOf": [_NAME, {"type": "null"}]}) == [True]
    assert _closed({"$ref": "#/$defs/n", "$defs": {"n": _NAME}}) == [True]


@pytest.mark.parametrize(
    "change",
    [
        {"additionalProperties": True},
        {"additionalProperties": {"type": "integer"}},
        {"patternProperties": {"^x": True}, "additionalProperties": True},
        {"required": ["name", "age"]},
    ],
)
def test_an_object_that_wants_other_keys_stays_open(change: dict[str, Any]) -> None:
    assert _closed(_NAME | change) == [False]


def test_keys_described_in_several_places_stay_open() -> None:
    age = {"type": "object", "properties": {"age": {"type": "integer"}}}
    assert not any(_closed({"allOf": [_NAME, age]}))
    assert not any(_closed(_NAME | {"anyOf": [age, {"required": ["name"]}]}))


def test_an_object_without_properties_stays_free() -> None:
    normalised = normalise('{"type": "object"}')
    assert "additionalProperties" not in json.dumps(normalised)
