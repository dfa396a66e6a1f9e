"""JSON schemas over every keyword: those that are enforced, and those refused by name."""

from __future__ import annotations

from typing import Any

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
TREE = {
    "type": "object",
    "properties": {
        "value": {"type": "integer"},
        "children": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
    },
    "required": ["value"],
    "additionalProperties": False,
}
LIST = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]},
                "of/this": {"type": "boolean"},
            },
            "required": ["next", "of/this"],
            "additionalProperties": False,
        }
    },
}


def closed(required: list[str] | None = None, /, **properties: Any) -> dict[str, Any]:
    """An object with these properties and no others; all are required unless said otherwise."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


def tagged(tag: str, **properties: Any) -> dict[str, Any]:
    return closed(**{"kind": {"const": tag}, **properties})


STRING = {"type": "string", "maxLength": 8}
INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}

ENFORCED: dict[str, Any] = {
    "true": True,
    "empty": {},
    "annotations": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://example.com/a",
        "$comment": "c",
        "title": "t",
        "description": "d",
        "default": 1,
        "examples": [1],
        "deprecated": True,
        "readOnly": True,
        "writeOnly": False,
        "x-order": 3,
        "type": "boolean",
    },
    "null": {"type": "null"},
    "boolean": {"type": "boolean"},
    "integer": INTEGER,
    "number": NUMBER,
    "string": {"type": "string"},
    "array": {"type": "array"},
    "object": {"type": "object"},
    "types": {"type": ["string", "null", "integer"], "maxLength": 4, "minimum": 3},
    "no type": {"minimum": 3, "maxLength": 2, "maxItems": 1, "maxProperties": 1},
    "const string": {"const": 'é"\\\n'},
    "const number": {"const": 0.1},
    "const array": {"const": [1, "a", None, {"b": [True]}]},
    "const in type": {"type": "integer", "const": 3},
    "enum": {"enum": ["a", "ab", 1, 1.5, -7, None, False, [], {}, {"a": [1]}]},
    "enum in type": {"type": ["string", "integer"], "enum": ["a", 1, 1.5, None]},
    "enum in range": {"enum": [1, 2, 3, 4], "minimum": 2, "exclusiveMaximum": 4},
    "minimum": {"type": "integer", "minimum": -3, "maximum": 12},
    "exclusive": {"type": "integer", "exclusiveMinimum": 9, "exclusiveMaximum": 12},
    "fractions": {"type": "number", "minimum": 0.25, "exclusiveMaximum": 3.5},
    "negative": {"type": "number", "exclusiveMaximum": -0.5, "minimum": -120.75},
    "one bound": {"type": "number", "minimum": 17.5},
    "multiple": {"type": "integer", "multipleOf": 7},
    "multiple in range": {"type": "integer", "multipleOf": 5, "minimum": -12, "maximum": 31},
    "hundredths": {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 10},
    "lengths": {"type": "string", "minLength": 2, "maxLength": 5},
    "empty string": {"type": "string", "maxLength": 0},
    "pattern": {"type": "string", "pattern": "^[a-c]{1,3}(-[0-9]+)?$"},
    "pattern inside": {"type": "string", "pattern": "ab", "maxLength": 6},
    "pattern ends": {"type": "string", "pattern": "^a|b$", "maxLength": 6},
    "pattern classes": {"type": "string", "pattern": r"^\d{2}\s?\w+\W\S.$"},
    "pattern negated": {"type": "string", "pattern": r"^[^\d\s]{1,5}$"},
    "pattern no quotes": {"type": "string", "pattern": r'^[^"\\]{1,6}$'},
    "pattern control": {"type": "string", "pattern": r"^[\x00-\x1f]{1,3}$"},
    "pattern and length": {"type": "string", "pattern": "^a*b*$", "minLength": 3, "maxLength": 6},
    "pattern anywhere": {"pattern": "^x+$"},
    "format date": {"type": "string", "format": "date"},
    "format time": {"type": "string", "format": "time"},
    "format date-time": {"type": "string", "format": "date-time"},
    "format duration": {"type": "string", "format": "duration"},
    "format email": {"type": "string", "format": "email"},
    "format hostname": {"type": "string", "format": "hostname"},
    "format ipv4": {"type": "string", "format": "ipv4"},
    "format ipv6": {"type": "string", "format": "ipv6"},
    "format uri": {"type": "string", "format": "uri"},
    "format uuid": {"type": "string", "format": "uuid"},
    "format and pattern": {"type": "string", "format": "date", "pattern": "^20"},
    "leap days": {"type": "string", "format": "date", "pattern": "-02-29$"},
    "items": {"type": "array", "items": INTEGER},
    "item counts": {"type": "array", "items": STRING, "minItems": 1, "maxItems": 3},
    "no items": {"type": "array", "items": False},
    "tuple": {"type": "array", "prefixItems": [INTEGER, STRING], "items": False},
    "tuple and more": {"type": "array", "prefixItems": [INTEGER], "items": STRING, "minItems": 2},
    "tuple of draft 7": {
        "$schema": DRAFT_7,
        "type": "array",
        "items": [INTEGER, {"type": "null"}],
        "additionalItems": {"type": "boolean"},
        "minItems": 1,
    },
    "one list of draft 7": {
        "$schema": DRAFT_7,
        "type": "array",
        "items": INTEGER,
        "additionalItems": False,
    },
    "closed": closed(a=INTEGER, b=STRING, c={"type": "boolean"}),
    "optional": closed(["b"], a=INTEGER, b=STRING, c={"type": "null"}),
    "all optional": closed([], a=INTEGER, b=INTEGER, c=INTEGER),
    "open": {"type": "object", "properties": {"a": INTEGER, "b": STRING}, "required": ["a"]},
    "additional": {"type": "object", "properties": {"a": STRING}, "additionalProperties": INTEGER},
    "required unknown": {"type": "object", "required": ["q"], "additionalProperties": INTEGER},
    "strange keys": closed(**{"": INTEGER, 'a"\\': INTEGER, "é\n": INTEGER}),
    "false property": {"type": "object", "properties": {"a": False}, "maxProperties": 0},
    "nested": closed(a=closed(b={"type": "array", "items": closed(c=INTEGER), "maxItems": 2})),
    "pattern properties": {
        "type": "object",
        "patternProperties": {"^[ab]+$": INTEGER, "^c": STRING},
        "additionalProperties": False,
    },
    "pattern properties and more": {
        "type": "object",
        "properties": {"ax": {"minimum": 5}, "b": STRING},
        "patternProperties": {"^a": INTEGER},
        "additionalProperties": {"type": "null"},
    },
    "map": {"type": "object", "additionalProperties": INTEGER, "minProperties": 1},
    "map with limits": {"type": "object", "maxProperties": 2, "additionalProperties": STRING},
    "one more": {
        "type": "object",
        "properties": {"a": INTEGER},
        "required": ["a"],
        "minProperties": 2,
        "additionalProperties": INTEGER,
    },
    "at least one": {**closed([], a=INTEGER, b=INTEGER), "minProperties": 1},
    "at most one": {**closed([], a=INTEGER, b=INTEGER), "maxProperties": 1},
    "anyOf": {"anyOf": [INTEGER, closed(a=STRING), {"type": "null"}]},
    "anyOf with siblings": {
        "type": "object",
        "properties": {"a": INTEGER},
        "anyOf": [{"required": ["a"]}, {"properties": {"b": STRING}, "required": ["b"]}],
    },
    "allOf": {
        "allOf": [
            {"type": "object", "properties": {"a": INTEGER}, "required": ["a"]},
            {"properties": {"a": {"minimum": 3}, "b": STRING}, "additionalProperties": STRING},
        ]
    },
    "allOf patterns": {
        "type": "string",
        "allOf": [{"pattern": "^a"}, {"pattern": "b$"}, {"maxLength": 6}],
    },
    "allOf arrays": {
        "type": "array",
        "allOf": [{"prefixItems": [{"minimum": 1}]}, {"items": INTEGER}, {"minItems": 2}],
    },
    "oneOf types": {"oneOf": [INTEGER, STRING, {"type": "null"}]},
    "oneOf constants": {"oneOf": [{"const": 1}, {"enum": [2, 3]}, {"const": "1"}]},
    "oneOf tags": {"oneOf": [tagged("a", x=INTEGER), tagged("b", y=STRING)]},
    "oneOf references": {
        "oneOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}],
        "discriminator": {"propertyName": "kind"},
        "$defs": {"a": tagged("a", x=INTEGER), "b": tagged("b", y=STRING)},
    },
    "oneOf and anyOf": {
        "anyOf": [{"minimum": 5}, STRING],
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    },
    "tree": TREE,
    "list": LIST,
    "definitions": {
        "$schema": DRAFT_7,
        "type": "array",
        "items": {"$ref": "#/definitions/a~1b%20~0"},
        "definitions": {"a/b ~": {"type": "boolean"}},
    },
    "reference and sibling": {"$ref": "#/$defs/a", "maximum": 9, "$defs": {"a": INTEGER}},
    "reference into a list": {"anyOf": [INTEGER, closed(a={"$ref": "#/anyOf/0"})]},
    "unused definition": {"type": "boolean", "$defs": {"a": {"not": {}}}},
    "harmless": {
        "type": "array",
        "items": {"type": "object", "unevaluatedProperties": True, "propertyNames": True},
        "uniqueItems": False,
    },
    "pydantic": {
        "$defs": {
            "Colour": {"enum": ["red", "green"], "title": "Colour", "type": "string"},
            "Part": {
                "properties": {
                    "name": {"title": "Name", "type": "string", "maxLength": 6},
                    "colour": {"$ref": "#/$defs/Colour", "default": "red"},
                    "size": {"anyOf": [NUMBER, {"type": "null"}], "default": None},
                },
                "required": ["name"],
                "title": "Part",
                "type": "object",
            },
        },
        "properties": {
            "parts": {"items": {"$ref": "#/$defs/Part"}, "type": "array", "maxItems": 2},
            "made": {"format": "date-time", "type": "string"},
        },
        "required": ["parts", "made"],
        "title": "Machine",
        "type": "object",
    },
}

# What the message must name: the keyword and its place.
REFUSED: list[tuple[Any, str]] = [
    ({"not": {"type": "string"}}, '"not" at #'),
    ({"properties": {"a": {"not": {}}}}, '"not" at #/properties/a'),
    ({"items": {"contains": {}}}, '"contains" at #/items'),
    ({"minContains": 1}, '"minContains" at #'),
    ({"maxContains": 1}, '"maxContains" at #'),
    ({"anyOf": [{"uniqueItems": True}]}, '"uniqueItems" at #/anyOf/0'),
    ({"propertyNames": {"maxLength": 3}}, '"propertyNames" at #'),
    ({"dependentRequired": {"a": ["b"]}}, '"dependentRequired" at #'),
    ({"dependentSchemas": {"a": {}}}, '"dependentSchemas" at #'),
    ({"dependencies": {"a": ["b"]}}, '"dependencies" at #'),
    ({"if": {}, "then": {}}, '"if" at #'),
    ({"else": {}}, '"else" at #'),
    ({"unevaluatedProperties": False}, '"unevaluatedProperties" at #'),
    ({"unevaluatedItems": False}, '"unevaluatedItems" at #'),
    ({"nullable": True, "type": "string"}, '"nullable" at #'),
    ({"$dynamicRef": "#a"}, '"$dynamicRef" at #'),
    ({"$recursiveRef": "#"}, '"$recursiveRef" at #'),
    ({"minimun": 3}, '"minimun" at #'),
    ({"x-guidance": {"lenient": True}, "not": {}}, '"not" at #'),
    ({"properties": {"a": {"$id": "b"}}}, '"$id" at #/properties/a'),
    ({"prefixItems": [{}], "additionalItems": False}, '"additionalItems" at #'),
    ({"items": [{}]}, "#/items"),
    ({"$schema": "http://json-schema.org/draft-04/schema#"}, "draft-04"),
    ({"format": "iri"}, '"format" at #'),
    ({"properties": {"a": {"format": "unknown"}}}, '"format" at #/properties/a'),
    ({"pattern": "(?=a)b"}, '"(?=" in the pattern'),
    ({"pattern": r"\bword"}, "#/pattern"),
    ({"pattern": "(?i)a"}, "#/pattern"),
    ({"pattern": "a(b"}, "JSON schema cannot be enforced"),
    ({"patternProperties": {r"^\w+$": {}}}, '"patternProperties" at #'),
    ({"patternProperties": {"^a": {"type": "null"}, "b$": {"type": "string"}}}, "not disjoint"),
    ({"minProperties": 2}, '"minProperties" at #'),
    ({**closed([], a={}, b={}, c={}), "maxProperties": 2}, "min/maxProperties"),
    ({"oneOf": [INTEGER, NUMBER]}, '"oneOf" at #'),
    ({"oneOf": [{"minimum": 1}, {"maximum": 1}]}, '"oneOf" at #'),
    ({"oneOf": [closed([], kind={"const": "a"}), closed([], kind={"const": "b"})]}, '"oneOf" at #'),
    ({"oneOf": [{"const": 1}, {"const": 1.0}]}, '"oneOf" at #'),
    ({"$ref": "https://example.com/schema"}, "example.com"),
    ({"$ref": "#anchor"}, "#anchor"),
    ({"$ref": "#/$defs/missing"}, "#/$defs/missing"),
    ({"const": 2**53 + 1}, "#/const"),
    ({"maximum": 1e300}, "#/maximum"),
    ({"multipleOf": 0}, "#/multipleOf"),
    ({"exclusiveMinimum": True}, "#/exclusiveMinimum"),
    ({"minLength": -1}, "#/minLength"),
    ({"maxItems": 1.5}, "#/maxItems"),
    ({"enum": []}, "#/enum"),
    ({"enum": ["\u0001"]}, "#/enum"),
    ({"type": "text"}, "#/type"),
    ({"required": "a"}, "#/required"),
    ({"required": ["a", "a"]}, "#/required"),
    ({"properties": []}, "#/properties"),
    ({"anyOf": []}, "#/anyOf"),
    ({"allOf": [3]}, "#/allOf/0"),
    (3, "#"),
    # Nothing satisfies these.
    (False, "no finite value"),
    ({"$ref": "#"}, "no finite value"),
    ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "no finite value"),
    (closed(a={"$ref": "#"}), "no finite value"),
    ({"type": "string", "const": 1}, "Unsatisfiable"),
    ({"type": "string", "minLength": 3, "maxLength": 2}, "Unsatisfiable"),
    ({"type": "integer", "minimum": 8, "maximum": 13, "multipleOf": 7}, "Unsatisfiable"),
    ({"type": "string", "pattern": "^a$", "minLength": 2}, "Unsatisfiable"),
    ({"type": "object", "required": ["a"], "additionalProperties": False}, "no finite value"),
]
