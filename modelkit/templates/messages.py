"""A conversation as templates see it: messages and the calls of tools inside them.

Printed in a Go template, all but a message's plain fields are JSON in the caller's key order.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from modelkit import gojson


class GoStruct:
    """A value whose fields a Go template reads by their Go names, and which prints as JSON."""

    GO_FIELDS: ClassVar[Mapping[str, str]] = {}

    def go_field(self, name: str) -> object:
        """The field's value; raises KeyError for a name that the type does not have."""
        return getattr(self, self.GO_FIELDS[name])

    def go_json(self) -> object:
        """Plain data, keys in the order they are written in."""
        raise NotImplementedError

    def go_string(self) -> str:
        """What `{{ . }}` prints."""
        return gojson.dumps(self.go_json()).decode()


class Arguments(dict[str, Any]):
    """The arguments of a call: a map to templates, JSON when printed."""

    def go_json(self) -> object:
        """The same map as plain data."""
        return dict(self)

    def go_string(self) -> str:
        """What `{{ .Function.Arguments }}` prints."""
        return gojson.dumps(self).decode()


class Function(msgspec.Struct, GoStruct, kw_only=True):
    """Which tool was called, and with what."""

    GO_FIELDS = {"Index": "index", "Name": "name", "Arguments": "arguments"}

    index: int = 0
    name: str = ""
    arguments: dict[str, Any] = {}

    def go_field(self, name: str) -> object:
        """As GoStruct.go_field; the arguments are a map that prints as JSON."""
        return Arguments(self.arguments) if name == "Arguments" else super().go_field(name)

    def go_json(self) -> object:
        """`{"index"?, "name", "arguments"}`."""
        index = {"index": self.index} if self.index else {}
        return {**index, "name": self.name, "arguments": self.arguments}


class ToolCall(msgspec.Struct, GoStruct, kw_only=True):
    """One call of a tool that the model asked for."""

    GO_FIELDS = {"ID": "id", "Function": "function"}

    id: str = ""
    function: Function = msgspec.field(default_factory=Function)

    def go_json(self) -> object:
        """`{"id"?, "function"}`."""
        known = {"id": self.id} if self.id else {}
        return {**known, "function": self.function.go_json()}


class Message(msgspec.Struct, GoStruct, kw_only=True):
    """One turn of a conversation, as requests carry it; images are base64."""

    GO_FIELDS = {
        "Role": "role",
        "Content": "content",
        "Thinking": "thinking",
        "Images": "images",
        "ToolCalls": "tool_calls",
        "ToolName": "tool_name",
        "ToolCallID": "tool_call_id",
    }

    role: str = ""
    content: str = ""
    thinking: str = ""
    images: list[str] = []
    tool_calls: list[ToolCall] = []
    tool_name: str = ""
    tool_call_id: str = ""

    def __post_init__(self) -> None:
        self.role = self.role.lower()

    def go_json(self) -> object:
        """The message as the API writes it; parts that are empty are left out."""
        optional = {
            "thinking": self.thinking,
            "images": self.images,
            "tool_calls": [call.go_json() for call in self.tool_calls],
            "tool_name": self.tool_name,
            "tool_call_id": self.tool_call_id,
        }
        given = {key: value for key, value in optional.items() if value}
        return {"role": self.role, "content": self.content, **given}

    def with_content(self, content: str) -> "Message":
        """A copy that says something else."""
        return msgspec.structs.replace(self, content=content)

    def variables(self) -> dict[str, object]:
        """What a Jinja chat template sees, in Hugging Face's names; empty parts are left out."""
        calls = [
            {
                "type": "function",
                **({"id": call.id} if call.id else {}),
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in self.tool_calls
        ]
        optional = {
            "thinking": self.thinking,
            "reasoning_content": self.thinking,
            "tool_calls": calls,
            "name": self.tool_name,
            "tool_call_id": self.tool_call_id,
        }
        given = {key: value for key, value in optional.items() if value}
        return {"role": self.role, "content": self.content, **given}
