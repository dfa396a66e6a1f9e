"""The form that a response's text must have: `text`."""

from typing import Any

import msgspec

from modelkit.serve.openai.errors import FieldError, unsupported
from modelkit.serve.types import Grammar

_TEXT = {"type": "text"}


class TextFormat(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Plain text, any JSON object, or one by a schema, enforced whether `strict` or not."""

    type: str
    name: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None


class TextConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The field as it is sent."""

    format: TextFormat | None = None
    verbosity: str | None = None

    def grammar(self) -> Grammar | None:
        """What the answer must look like; raises FieldError."""
        if self.verbosity not in (None, "medium"):
            raise unsupported("text.verbosity", "must be 'medium'")
        if self.format is None or self.format.type == "text":
            return None
        if self.format.type == "json_object":
            return Grammar("json")
        if self.format.type != "json_schema":
            text = "'text.format.type' must be 'text', 'json_object' or 'json_schema'"
            raise FieldError("text.format.type", text, "invalid_value")
        if self.format.schema is None:
            text = "Missing required parameter: 'text.format.schema'"
            raise FieldError("text.format.schema", text, "missing_required_parameter")
        return Grammar("json_schema", msgspec.json.encode(self.format.schema).decode())

    def line(self) -> dict[str, Any]:
        """The field as a response has it."""
        form = msgspec.to_builtins(self.format) if self.format else _TEXT
        return {"format": form, "verbosity": "medium"}
