"""The tools a request offers, as templates see them: JSON when printed, fields by Go's names."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from modelkit import gojson
from modelkit.errors import UsageError
from modelkit.templates.messages import GoStruct

_TYPESCRIPT = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "array": "any[]",
    "object": "Record<string, any>",
    "null": "null",
}


class Property(msgspec.Struct, GoStruct, kw_only=True, omit_defaults=True):
    """The JSON schema of one parameter."""

    GO_FIELDS = {
        "AnyOf": "any_of",
        "Type": "kind",
        "Items": "items",
        "Description": "description",
        "Enum": "enum",
        "Properties": "properties",
        "Required": "required",
        "ToTypeScriptType": "typescript",
    }

    any_of: "list[Property] | None" = msgspec.field(default=None, name="anyOf")
    type: str | list[str] | None = None
    items: Any = None
    description: str | None = None
    enum: list[Any] | None = None
    properties: "dict[str, Property] | None" = None
    required: list[str] | None = None

    @property
    def types(self) -> list[str]:
        """The types that a value may have."""
        return [self.type] if isinstance(self.type, str) else self.type or []

    @property
    def kind(self) -> "str | list[str]":
        """One type as text, several as a list, none as the empty text."""
        return self.types if len(self.types) > 1 else "".join(self.types)

    @property
    def typescript(self) -> str:
        """The type in TypeScript: `string | number`."""
        if self.any_of:
            return " | ".join(item.typescript for item in self.any_of)
        return " | ".join(_TYPESCRIPT.get(item, "any") for item in self.types) or "any"

    def go_field(self, name: str) -> object:
        """As GoStruct.go_field; what is not given is Go's zero value."""
        value = super().go_field(name)
        if name == "Properties":
            return Properties(self.properties or {})
        if value is None and name != "Items":
            return "" if name == "Description" else []
        return value

    def go_json(self) -> object:
        """The schema, without what it does not say; a list of one type is that type."""
        optional = {
            "anyOf": [item.go_json() for item in self.any_of or []],
            "type": self.kind,
            "items": self.items,
            "description": self.description,
            "enum": self.enum,
            "properties": None if self.properties is None else _schemas(self.properties),
            "required": self.required,
        }
        return {key: value for key, value in optional.items() if value not in (None, "", [])}


class Properties(dict[str, Property]):
    """Parameters by name: a map to templates, JSON when printed."""

    def go_json(self) -> object:
        """The schemas as plain data."""
        return _schemas(self)

    def go_string(self) -> str:
        """What `{{ .Function.Parameters.Properties }}` prints."""
        return gojson.dumps(_schemas(self)).decode()


class Parameters(msgspec.Struct, GoStruct, kw_only=True):
    """The JSON schema of all parameters of a function."""

    GO_FIELDS = {
        "Type": "type",
        "Defs": "defs",
        "Items": "items",
        "Required": "required",
        "Properties": "properties",
    }

    type: str = ""
    defs: Any = msgspec.field(default=None, name="$defs")
    items: Any = None
    required: list[str] | None = None
    properties: dict[str, Property] | None = None

    def go_field(self, name: str) -> object:
        """As GoStruct.go_field."""
        if name == "Properties":
            return Properties(self.properties or {})
        return super().go_field(name) or [] if name == "Required" else super().go_field(name)

    def go_json(self) -> object:
        """`{"type", "$defs"?, "items"?, "required"?, "properties"}`."""
        optional = {"$defs": self.defs, "items": self.items, "required": self.required}
        given = {key: value for key, value in optional.items() if value not in (None, [])}
        properties = None if self.properties is None else _schemas(self.properties)
        return {"type": self.type, **given, "properties": properties}


class ToolFunction(msgspec.Struct, GoStruct, kw_only=True):
    """A function the model may call."""

    GO_FIELDS = {"Name": "name", "Description": "description", "Parameters": "parameters"}

    name: str = ""
    description: str = ""
    parameters: Parameters = msgspec.field(default_factory=Parameters)

    def go_json(self) -> object:
        """`{"name", "description", "parameters"}`."""
        parameters = self.parameters.go_json()
        return {"name": self.name, "description": self.description, "parameters": parameters}


class Tool(msgspec.Struct, GoStruct, kw_only=True):
    """One tool of a request."""

    GO_FIELDS = {"Type": "type", "Items": "items", "Function": "function"}

    type: str = ""
    items: Any = None
    function: ToolFunction = msgspec.field(default_factory=ToolFunction)

    def go_json(self) -> object:
        """`{"type", "items"?, "function"}`."""
        items = {} if self.items is None else {"items": self.items}
        return {"type": self.type, **items, "function": self.function.go_json()}


class Tools(list[Tool]):
    """All tools of a request: a slice to templates, JSON when printed."""

    @classmethod
    def of(cls, values: Iterable[Mapping[str, Any]]) -> "Tools":
        """From decoded JSON; raises UsageError for what is not a tool. Unknown keys are dropped."""
        try:
            return cls(msgspec.convert(_without_nulls(value), Tool) for value in values)
        except (msgspec.ValidationError, RecursionError) as error:
            raise UsageError(f"not a valid tool: {error}") from error

    def go_json(self) -> object:
        """The tools as plain data."""
        return [tool.go_json() for tool in self]

    def go_string(self) -> str:
        """What `{{ .Tools }}` prints."""
        return gojson.dumps(self.go_json()).decode()


def _schemas(properties: Mapping[str, Property]) -> dict[str, object]:
    return {name: schema.go_json() for name, schema in properties.items()}


def _without_nulls(value: object) -> object:
    """A field that is null is a field that is not given, in Go's reading of JSON."""
    if not isinstance(value, Mapping):
        return value
    return {key: _without_nulls(item) for key, item in value.items() if item is not None}
