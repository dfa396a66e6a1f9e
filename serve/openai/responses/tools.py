"""The tools that a response may call, and which of them it must."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from modelkit.serve.api.chatting import Named, ToolChoice
from modelkit.serve.openai.errors import FieldError, unsupported
from modelkit.serve.openai.reader import convert
from modelkit.serve.openai.tools import FunctionTool, Toolbox, tool_of

_CHOICES: dict[str, ToolChoice] = {"auto": "auto", "none": "none", "required": "required"}


class Function(FunctionTool, forbid_unknown_fields=True, kw_only=True):
    """A function, its fields beside its type."""

    type: Literal["function"]


class Namespace(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Tools with a name in common."""

    type: Literal["namespace"]
    name: str
    tools: list[Any]
    description: str | None = None


class Chosen(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A tool by its name."""

    type: Literal["function"]
    name: str


class Allowed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The only tools that may be called now."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[Chosen]


def toolbox(tools: Sequence[object] | None, choice: object) -> Toolbox:
    """From the fields `tools` and `tool_choice`; raises FieldError."""
    functions = [
        function
        for place, value in enumerate(tools or [])
        for function in _functions(value, f"tools[{place}]")
    ]
    chosen, wanted = _choice(choice)
    names = {function.name for function in functions}
    for name in wanted or ():
        if name not in names:
            raise _unwanted(f"Tool choice '{name}' not found in 'tools' parameter")
    if isinstance(choice, dict) and not isinstance(chosen, Named):
        functions = [function for function in functions if function.name in (wanted or ())]
    if chosen == "required" and not functions:
        raise _unwanted("Tool choice 'required' must be specified with 'tools' parameter")
    strict = frozenset(function.name for function in functions if function.strict)
    return Toolbox([tool_of(function) for function in functions], chosen, strict)


def _functions(value: object, where: str) -> Iterator[FunctionTool]:
    """The functions of a tool; those in a namespace are called `namespace.name`."""
    if not isinstance(value, dict):
        raise FieldError(where, f"'{where}' must be an object", "invalid_type")
    kind = value.get("type")
    if kind == "function":
        yield _function(value, where)
        return
    if kind != "namespace":
        raise unsupported(f"{where}.type", f"must be 'function', not {kind!r:.60}")
    space = convert(value, Namespace, where)
    for place, member in enumerate(space.tools):
        for function in _functions(member, f"{where}.tools[{place}]"):
            if not function.name.startswith(f"{space.name}."):
                function.name = f"{space.name}.{function.name}"
            yield function


def _function(value: object, where: str) -> FunctionTool:
    function = convert(value, Function, where)
    if not function.name:
        raise FieldError(f"{where}.name", "a function must have a name", "invalid_value")
    return function


def _choice(value: object) -> tuple[ToolChoice, Sequence[str]]:
    """How tools may be called, and the names of those the choice speaks of."""
    if value is None:
        return "auto", ()
    if isinstance(value, str) and value in _CHOICES:
        return _CHOICES[value], ()
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "function":
        name = convert(value, Chosen, "tool_choice").name
        return Named(name), [name]
    if kind == "allowed_tools":
        allowed = convert(value, Allowed, "tool_choice")
        return allowed.mode, [tool.name for tool in allowed.tools]
    if isinstance(kind, str):
        raise unsupported("tool_choice.type", f"must be 'function', not {kind!r:.60}")
    raise _unwanted("'tool_choice' must be 'auto', 'none', 'required', a function or allowed tools")


def _unwanted(text: str) -> FieldError:
    return FieldError("tool_choice", text, "invalid_value")
