"""Hundreds of JSON schemas drawn by chance over every keyword of draft 2020-12."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

Schema = dict[str, Any]
Draw = Callable[[Random], Schema]

_NAMES = "abcd"
_WORDS = ("red", "green", "", "é", 'a"b', "a/b", "x y", "0")
_PATTERNS = (
    *("^[a-c]{1,4}$", "^x", "y$", "ab", r"^\d{2,3}$", r"^\w+$", r"^[^\d\s]{1,5}$", "^(a|bc)*$"),
    *(r"\S", "^[A-Z][a-z]{0,3}(-[0-9]+)?$", "^.{2}$", r"^[\u0061-\u0063]+$", r"^a\|b\.c$"),
    *(r"(?=a)", r"\bred\b", r"^(a)\1$", r"(?i)a", '^[^"\\\\]{1,4}$', r"[\s\S]{2}", "^$|^q+?$"),
)
FORMATS = (
    *("date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname"),
    *("ipv4", "ipv6", "uri", "uri-reference", "iri", "iri-reference", "uuid", "uri-template"),
    *("json-pointer", "relative-json-pointer", "regex"),
)
_BOUNDS = (-1000, -7, -1, -0.5, 0, 0.25, 1, 3, 10.5, 99, 12345)
_STEPS = (1, 2, 3, 7, 10, 0.5, 0.25, 0.01)


def _value(r: Random, depth: int = 1) -> Any:
    """A value of any type."""
    flat = [None, True, False, r.randint(-20, 200), r.choice(_BOUNDS), r.choice(_WORDS)]
    if depth and r.random() < 0.4:
        return r.choice([[_value(r, 0)], {r.choice(_NAMES): _value(r, 0)}, [], {}])
    return r.choice(flat)


def leaf(r: Random) -> Schema:
    """A small schema whose answers are short."""
    low = r.randint(-50, 50)
    return r.choice(
        [
            {"type": "integer", "minimum": low, "maximum": low + r.randint(0, 300)},
            {"type": "string", "maxLength": r.randint(0, 5)},
            {"type": "boolean"},
            {"type": "null"},
            {"enum": [_value(r) for _ in range(r.randint(1, 3))]},
            {"const": _value(r)},
            {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
            {"type": "string", "pattern": "^[a-c]{1,3}$"},
        ]
    )


def _leaves(r: Random, most: int = 3) -> list[Schema]:
    return [leaf(r) for _ in range(r.randint(1, most))]


def _named(r: Random, draw: Draw = leaf) -> Schema:
    return {name: draw(r) for name in r.sample(_NAMES, r.randint(1, 3))}


def _some(r: Random) -> list[str]:
    return r.sample(_NAMES, r.randint(0, 2))


def _object(r: Random) -> Schema:
    named = _named(r)
    required = [name for name in named if r.random() < 0.6]
    return {"type": "object", "properties": named, "required": required}


def _tagged(r: Random) -> list[Schema]:
    """Objects that one property tells apart, most of the time."""
    tags = r.sample(["p", "q", 1, None], 2)
    required = ["kind"] if r.random() < 0.8 else []
    return [
        {"properties": {"kind": {"const": tag}, "v": leaf(r)}, "required": required}
        | {"type": "object"}
        for tag in tags
    ]


def _by_type(r: Random) -> list[Schema]:
    return [{"type": "string", "maxLength": 3}, {"type": "null"}, _object(r)]


def _tree(r: Random, reference: Schema) -> Schema:
    children = {"type": "array", "items": reference, "maxItems": r.randint(1, 2)}
    return {"type": "object", "properties": {"v": leaf(r), "children": children}, "required": ["v"]}


def _number(r: Random) -> Schema:
    return {"type": r.choice(["integer", "number", ["number", "null"]])}


def _reference(r: Random) -> Schema:
    target = r.choice(["#/$defs/one", "#/$defs/a~1b", "#/$defs/c%20d"])
    named = {"$ref": target, "$defs": {"one": leaf(r), "a/b": _object(r), "c d": leaf(r)}}
    return r.choice([named, _tree(r, {"$ref": "#"}), {**named, **leaf(r)}])


def _pattern_keys(r: Random) -> Schema:
    keys = r.choice([["^a"], ["^[ab]+$", "^c"], ["^a", "b$"], [r"^\w{1,3}$"], ["x"]])
    return {"patternProperties": {key: leaf(r) for key in keys}, "maxProperties": 2}


def _if(r: Random) -> Schema:
    condition = r.choice([{"properties": {"a": {"const": 1}}}, leaf(r)])
    return {"if": condition, "then": _object(r), "else": leaf(r)}


# By the type that they speak of, then by keyword: a schema in which the keyword says something.
KEYWORDS: dict[str, dict[str, Draw]] = {
    "string": {
        "minLength": lambda r: {"type": "string", "minLength": r.randint(0, 4), "maxLength": 9},
        "maxLength": lambda r: {"type": "string", "maxLength": r.randint(0, 8)},
        "pattern": lambda r: {"type": "string", "pattern": r.choice(_PATTERNS)},
        "format": lambda r: {"type": "string", "format": r.choice(FORMATS)},
        "contentEncoding": lambda r: (
            {"type": "string", "contentEncoding": "base64"} | {"maxLength": r.randint(1, 9)}
        ),
        "contentMediaType": lambda r: {"contentMediaType": "application/json", "maxLength": 4},
        "contentSchema": lambda r: {"contentSchema": leaf(r), "type": "string", "maxLength": 4},
    },
    "number": {
        "minimum": lambda r: {**_number(r), "minimum": r.choice(_BOUNDS)},
        "maximum": lambda r: {**_number(r), "maximum": r.choice(_BOUNDS)},
        "exclusiveMinimum": lambda r: {**_number(r), "exclusiveMinimum": r.choice(_BOUNDS)},
        "exclusiveMaximum": lambda r: {**_number(r), "exclusiveMaximum": r.choice(_BOUNDS)},
        "multipleOf": lambda r: {**_number(r), "multipleOf": r.choice(_STEPS)},
    },
    "array": {
        "items": lambda r: {"type": "array", "items": r.choice([leaf(r), True, False])},
        "prefixItems": lambda r: (
            {"type": "array", "prefixItems": _leaves(r)}
            | r.choice([{}, {"items": False}, {"items": leaf(r)}])
        ),
        "minItems": lambda r: {"type": "array", "minItems": r.randint(0, 3), "items": leaf(r)},
        "maxItems": lambda r: {"type": "array", "maxItems": r.randint(0, 3), "items": leaf(r)},
        "uniqueItems": lambda r: {"type": "array", "uniqueItems": r.random() < 0.8},
        "contains": lambda r: {"type": "array", "contains": leaf(r), "items": leaf(r)},
        "minContains": lambda r: {"contains": leaf(r), "minContains": r.randint(0, 2)},
        "maxContains": lambda r: {"contains": leaf(r), "maxContains": r.randint(0, 2)},
        "unevaluatedItems": lambda r: (
            {"type": "array", "prefixItems": _leaves(r)}
            | {"unevaluatedItems": r.choice([False, True, leaf(r)])}
        ),
    },
    "object": {
        "properties": lambda r: {"type": "object", "properties": _named(r)},
        "required": lambda r: {**_object(r), "required": _some(r)},
        "additionalProperties": lambda r: (
            {"type": "object", "properties": _named(r)}
            | {"additionalProperties": r.choice([False, True, leaf(r)])}
        ),
        "patternProperties": lambda r: (
            {"type": "object", **_pattern_keys(r)}
            | r.choice([{}, {"additionalProperties": False}, {"additionalProperties": leaf(r)}])
        ),
        "propertyNames": lambda r: {"type": "object", "propertyNames": leaf(r)},
        "minProperties": lambda r: {**_object(r), "minProperties": r.randint(0, 3)},
        "maxProperties": lambda r: {**_object(r), "maxProperties": r.randint(0, 3)},
        "dependentRequired": lambda r: {**_object(r), "dependentRequired": {"a": ["b"]}},
        "dependentSchemas": lambda r: {**_object(r), "dependentSchemas": _named(r)},
        "dependencies": lambda r: {**_object(r), "dependencies": {"a": ["b"]}},
        "unevaluatedProperties": lambda r: (
            {**_object(r)} | {"unevaluatedProperties": r.choice([False, True, leaf(r)])}
        ),
    },
    "any": {
        "type": lambda r: {"type": r.choice(["integer", "string", ["null", "array"], "object"])},
        "enum": lambda r: {"enum": [_value(r) for _ in range(r.randint(1, 5))]},
        "const": lambda r: {"const": _value(r)},
        "allOf": lambda r: {
            "allOf": [_object(r), *r.choice([[], [{"type": "object"}, _object(r)]])]
        },
        "anyOf": lambda r: {"anyOf": r.choice([_leaves(r, 4), _by_type(r), _tagged(r)])},
        "oneOf": lambda r: {"oneOf": r.choice([_leaves(r), _by_type(r), _tagged(r), _tagged(r)])},
        "not": lambda r: {"not": leaf(r), "type": "integer"},
        "if": _if,
        "then": lambda r: {"if": leaf(r), "then": leaf(r)},
        "else": lambda r: {"if": leaf(r), "else": leaf(r)},
        "$ref": _reference,
        "$defs": lambda r: {**leaf(r), "$defs": {"unused": {"not": {}}, "a": leaf(r)}},
        "definitions": lambda r: {"$ref": "#/definitions/a", "definitions": {"a": leaf(r)}},
        "$anchor": lambda r: (
            {**leaf(r), "$anchor": "here"}
            | r.choice([{}, {"anyOf": [{"type": "null"}, {"$ref": "#here"}]}])
        ),
        "$dynamicAnchor": lambda r: {**leaf(r), "$dynamicAnchor": "node"},
        "$dynamicRef": lambda r: {"$dynamicAnchor": "node", **_tree(r, {"$dynamicRef": "#node"})},
        "$recursiveRef": lambda r: _tree(r, {"$recursiveRef": "#"}),
        "$recursiveAnchor": lambda r: {**leaf(r), "$recursiveAnchor": True},
        "$id": lambda r: {**leaf(r), "$id": f"https://example.com/{r.randint(1, 9)}"},
        "$schema": lambda r: {**leaf(r), "$schema": "https://json-schema.org/draft/2020-12/schema"},
        "$vocabulary": lambda r: {**leaf(r), "$vocabulary": {"https://example.com/v": False}},
        "$comment": lambda r: {**leaf(r), "$comment": r.choice(_WORDS)},
        "title": lambda r: {**leaf(r), "title": r.choice(_WORDS)},
        "description": lambda r: {**leaf(r), "description": r.choice(_WORDS)},
        "default": lambda r: {**leaf(r), "default": _value(r)},
        "examples": lambda r: {**leaf(r), "examples": [_value(r)]},
        "deprecated": lambda r: {**leaf(r), "deprecated": r.random() < 0.5},
        "readOnly": lambda r: {**leaf(r), "readOnly": r.random() < 0.5},
        "writeOnly": lambda r: {**leaf(r), "writeOnly": r.random() < 0.5},
    },
}

_GROUPS = {"integer": "number", "number": "number", "string": "string", "object": "object"}
_AT_ROOT = ("$defs", "definitions", "$schema")


def drawn(count: int, seed: int = 0) -> Iterator[tuple[str, Schema]]:
    """This many different schemas and the keyword that each was drawn for.

    Every keyword has its turn: first alone, then beside others of its type, and then inside other
    schemas as well.
    """
    r = Random(seed)
    turns = [(keyword, group) for group, draws in KEYWORDS.items() for keyword in draws]
    seen: set[str] = set()
    turn = 0
    while len(seen) < count:
        keyword, group = turns[turn % len(turns)]
        lap = turn // len(turns)
        turn += 1
        schema = KEYWORDS[group][keyword](r)
        if lap % 3 > 0:
            schema = _beside(r, group, schema)
        if lap % 3 > 1:
            schema = _within(r, schema)
        if (name := repr(schema)) not in seen:
            seen.add(name)
            yield keyword, schema


def _beside(r: Random, group: str, schema: Schema) -> Schema:
    """The schema with other keywords of its type, now and then of any."""
    group = _GROUPS.get(str(schema.get("type")), group)
    for _ in range(r.randint(1, 3)):
        draws = KEYWORDS["any" if r.random() < 0.1 else group]
        other = draws[r.choice(sorted(draws))](r)
        if r.random() < 0.7 or other.get("type") != schema.get("type"):
            schema = other | schema
        else:
            (root, schema), (others, other) = _parted(schema), _parted(other)
            schema = {"allOf": [other, schema]} | others | root
    return schema


def _parted(schema: Schema) -> tuple[Schema, Schema]:
    """What has to stay at the root when the schema is put into another, and the rest."""
    root = {key: schema[key] for key in _AT_ROOT if key in schema}
    return root, {key: value for key, value in schema.items() if key not in _AT_ROOT}


def _within(r: Random, schema: Schema) -> Schema:
    """The schema as part of another one."""
    root, inner = _parted(schema)
    name = r.choice(_NAMES)
    outer: Schema = r.choice(
        [
            {"type": "object", "properties": {name: inner, "z": leaf(r)}, "required": [name]},
            {"type": "object", "additionalProperties": inner, "maxProperties": 2},
            {"type": "array", "items": inner, "maxItems": 2},
            {"type": "array", "prefixItems": [inner, leaf(r)], "items": False, "minItems": 1},
            {"anyOf": [inner, leaf(r)]},
            {"allOf": [inner]},
            {"$ref": "#/properties/of", "properties": {"of": inner}, "type": "object"},
        ]
    )
    return outer | root
