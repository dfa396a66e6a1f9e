"""The form that an answer must have: `response_format`."""

from typing import Any

import msgspec

from modelkit.serve.openai.errors import FieldError
from modelkit.serve.openai.reader import convert
from modelkit.serve.types import Grammar

_FIELD = "response_format"


class JsonSchema(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A schema and its name; it is enforced whether `strict` or not."""

    schema: dict[str, Any]
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The field as it is sent."""

    type: str
    json_schema: dict[str, Any] | None = None


def response_grammar(form: ResponseFormat | None) -> Grammar | None:
    """What `response_format` asks for; raises FieldError."""
    kind = "text" if form is None else form.type.strip().lower()
    if form is None or kind == "text":
        return None
    if kind == "json_object":
        return Grammar("json")
    if kind != "json_schema":
        text = f"'{_FIELD}.type' must be 'text', 'json_object' or 'json_schema'"
        raise FieldError(f"{_FIELD}.type", text, "invalid_value")
    found = convert(form.json_schema or {}, JsonSchema, f"{_FIELD}.json_schema")
    return Grammar("json_schema", msgspec.json.encode(found.schema).decode())
