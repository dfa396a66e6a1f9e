"""The tools of a request, which of them must be called, and the calls of an answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from modelkit import gojson
from modelkit.serve.api.chatting import Named, ToolChoice
from modelkit.serve.openai.errors import FieldError, unsupported
from modelkit.serve.openai.reader import convert
from modelkit.templates.messages import ToolCall

_NO_PARAMETERS = {"type": "object", "properties": {}}
_CHOICES: dict[str, ToolChoice] = {"auto": "auto", "none": "none", "required": "required"}


class FunctionTool(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A function the model may call."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ChosenFunction(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A function by its name."""

    name: str


class ChosenTool(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A tool by its name."""

    function: ChosenFunction
    type: Literal["function"] = "function"


class AllowedTools(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The only tools that may be called now."""

    mode: Literal["auto", "required"]
    tools: list[ChosenTool]


@dataclass(frozen=True)
class Toolbox:
    """The tools a model is shown, as /api/chat takes them, and how it may use them.

    strict: the names of those whose arguments must obey their schema.
    """

    tools: Sequence[Mapping[str, Any]] = ()
    choice: ToolChoice = "auto"
    strict: frozenset[str] = frozenset()

    @classmethod
    def of(cls, tools: Sequence[object] | None, choice: object) -> "Toolbox":
        """From the fields `tools` and `tool_choice`; raises FieldError."""
        functions = [_function(value, f"tools[{i}]") for i, value in enumerate(tools or [])]
        chosen, only = _choice(choice, [function.name for function in functions])
        shown = [function for function in functions if only is None or function.name in only]
        if chosen == "required" and not shown:
            text = "'tool_choice' is only allowed when 'tools' are specified"
            raise FieldError("tool_choice", text, "invalid_value")
        strict = frozenset(function.name for function in shown if function.strict)
        return cls([tool_of(function) for function in shown], chosen, strict)


def tool_of(function: FunctionTool) -> dict[str, Any]:
    """A tool as templates see it."""
    described = {
        "name": function.name,
        "description": function.description or "",
        "parameters": function.parameters or _NO_PARAMETERS,
    }
    return {"type": "function", "function": described}


def call_lines(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """The calls of an answer, their arguments JSON in a string."""
    return [
        {
            "id": call.id,
            "index": call.function.index,
            "type": "function",
            "function": {
                "name": call.function.name,
                "arguments": gojson.dumps(call.function.arguments).decode(),
            },
        }
        for call in calls
    ]


def _function(value: object, where: str) -> FunctionTool:
    if not isinstance(value, dict):
        raise FieldError(where, f"'{where}' must be an object", "invalid_type")
    kind = value.get("type", "function")
    if kind != "function":
        raise unsupported(f"{where}.type", f"must be 'function', not {kind!r:.60}")
    for name in value.keys() - {"type", "function"}:
        field = f"{where}.{name}"
        text = f"Unrecognized request argument supplied: {field}"
        raise FieldError(field, text, "unknown_parameter")
    function = convert(value.get("function"), FunctionTool, f"{where}.function")
    if not function.name:
        raise FieldError(f"{where}.function.name", "a function must have a name", "invalid_value")
    return function


def _choice(value: object, names: Sequence[str]) -> tuple[ToolChoice, Sequence[str] | None]:
    """How tools are to be called, and the only ones that may be (None: all of them)."""
    if value is None:
        return "auto", None
    if isinstance(value, str) and value in _CHOICES:
        return _CHOICES[value], None
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "function":
        return Named(_known(convert(value, ChosenTool, "tool_choice"), names)), None
    if kind == "allowed_tools" and isinstance(value, dict):
        allowed = convert(value.get(kind), AllowedTools, f"tool_choice.{kind}")
        return allowed.mode, [_known(tool, names) for tool in allowed.tools]
    text = "'tool_choice' must be 'auto', 'none', 'required', a function or allowed tools"
    raise FieldError("tool_choice", text, "invalid_value")


def _known(chosen: ChosenTool, names: Sequence[str]) -> str:
    name = chosen.function.name
    if name not in names:
        text = f"Tool choice '{name}' not found in 'tools' parameter"
        raise FieldError("tool_choice", text, "invalid_value")
    return name
