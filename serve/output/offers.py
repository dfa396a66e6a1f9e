"""A tool that a request offers, and what its arguments must obey."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modelkit.errors import UsageError

# They may describe properties as well.
_DESCRIBING = {"$ref", "allOf", "anyOf", "oneOf", "patternProperties", "additionalProperties"}


@dataclass(frozen=True)
class Offer:
    """A tool that may be called with arguments of a JSON schema; unless `strict`, with any."""

    name: str
    parameters: Mapping[str, Any] | None = None
    strict: bool = True

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of an object; one that names no properties has none.

        Raises UsageError for parameters that are no object.
        """
        if not self.strict:
            return {"type": "object"}
        schema = dict(self.parameters or {})
        types = schema.get("type") or "object"
        if "object" not in ([types] if isinstance(types, str) else types):
            raise self.refused('their type is not "object"')
        if not schema.get("properties") and not _DESCRIBING & schema.keys():
            schema["additionalProperties"] = False
        return {**schema, "type": "object", "x-where": self.where}

    @property
    def where(self) -> str:
        """The place that error messages name."""
        return f"the parameters of the tool {json.dumps(self.name, ensure_ascii=False)}"

    def refused(self, reason: str) -> UsageError:
        """What is wrong with the parameters."""
        return UsageError(f"{reason}, in {self.where}")


def offers(tools: Iterable[Mapping[str, Any]], *, strict: Iterable[str] | None) -> list[Offer]:
    """The tools of a request; `strict` names those whose schemas count, None for all of them."""
    functions = [tool.get("function") or {} for tool in tools]
    return [
        Offer(name, function.get("parameters"), strict is None or name in strict)
        for function in functions
        if (name := function.get("name"))
    ]


def strict_names(tools: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The tools that say of themselves that their schemas count: `"strict": true`."""
    functions = [tool.get("function") for tool in tools]
    found = [function for function in functions if isinstance(function, Mapping)]
    return frozenset(str(f.get("name")) for f in found if f.get("strict") is True)
