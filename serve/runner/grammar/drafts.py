"""The drafts of JSON Schema that are understood, and what differs between them."""

from __future__ import annotations

import json
from typing import Any

from modelkit.errors import UsageError
from modelkit.serve.runner.grammar.values import malformed

_LATEST = "https://json-schema.org/draft/2020-12/schema"
# What their keywords mean, the latest means as well, but for tuples.
_OLDER = {
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
}


def is_older(document: Any) -> bool:
    """Was the schema written for a draft before 2020-12? UsageError for an unknown draft."""
    draft = document.get("$schema", _LATEST) if isinstance(document, dict) else _LATEST
    name = str(draft).rstrip("#")
    if name != _LATEST and name not in _OLDER:
        raise UsageError(f"unsupported JSON schema draft {json.dumps(draft)}; use {_LATEST}")
    return name in _OLDER


def with_prefix_items(schema: dict[str, Any], pointer: str) -> dict[str, Any]:
    """An older draft's tuple, a list of `items` and then `additionalItems`, as it is spelt now."""
    if not isinstance(schema.get("items"), list):
        return {key: value for key, value in schema.items() if key != "additionalItems"}
    if "prefixItems" in schema:
        raise malformed(f"{pointer}/prefixItems", "a tuple is given twice")
    renamed = {"items": "prefixItems", "additionalItems": "items"}
    return {renamed.get(key, key): value for key, value in schema.items()}
