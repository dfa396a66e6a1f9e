"""JSON schema keywords that are not enforced: those that forbid nothing, and those refused."""

from __future__ import annotations

from typing import Any

# They describe a value, or name a place, but forbid nothing.
ANNOTATIONS = frozenset(
    {
        "$anchor",
        "$comment",
        "$defs",
        "$dynamicAnchor",
        "$vocabulary",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "default",
        "definitions",
        "deprecated",
        "description",
        "discriminator",
        "enumDescriptions",
        "enumNames",
        "errorMessage",
        "example",
        "examples",
        "externalDocs",
        "markdownDescription",
        "propertyOrdering",
        "readOnly",
        "title",
        "writeOnly",
    }
)

_BY_CASES = 'use "anyOf" with one alternative for each case'

# Keywords of the drafts that llguidance does not have, and what to write instead.
_INSTEAD = {
    "$dynamicRef": "use $ref",
    "$recursiveRef": "use $ref",
    "additionalItems": 'use "prefixItems" and "items"',
    "dependencies": _BY_CASES,
    "dependentRequired": _BY_CASES,
    "dependentSchemas": _BY_CASES,
    "else": _BY_CASES,
    "if": _BY_CASES,
    "not": "say what is allowed instead",
    "nullable": 'use "type": [..., "null"]',
    "propertyNames": 'use "patternProperties" with "additionalProperties": false',
    "then": _BY_CASES,
    "unevaluatedItems": 'use "items"',
    "unevaluatedProperties": 'use "additionalProperties"',
}

# Values with which such a keyword forbids nothing.
_HARMLESS = {
    "nullable": False,
    "propertyNames": True,
    "unevaluatedItems": True,
    "unevaluatedProperties": True,
    "uniqueItems": False,
}


def is_silent(keyword: str, value: Any) -> bool:
    """Does the keyword, with this value, forbid nothing?"""
    if keyword in ANNOTATIONS or keyword.startswith("x-"):
        return True
    return keyword in _HARMLESS and value is _HARMLESS[keyword]


def instead_of(keyword: str) -> str:
    """What to write instead of a keyword that is refused; empty when there is nothing."""
    return _INSTEAD.get(keyword, "")
