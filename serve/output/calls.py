"""What a JSON object says when it stands where a tool call is expected."""

import secrets
import string
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from modelkit.templates.messages import Function, ToolCall

_ID_LETTERS = string.ascii_lowercase + string.digits
_ARGUMENTS = ("arguments", "parameters")
# What may stand beside the name in a call that leaves its arguments out.
_BESIDE_NAME = {"name", "type", "id"}


def find_call(before: str, text: str, tools: Sequence[str]) -> Function | None:
    """The call in `text`, a JSON object with `before` in front of it; None when it is none.

    Known forms: {"name": tool, "arguments" or "parameters": {...}}, {tool: {...}}, either of them
    deeper inside, and arguments alone after the tool's name. Arguments may be an object or a
    string that holds one.
    """
    value = decode_object(text)
    if value is None:
        return None
    for inner in _objects(value):
        if call := _named(inner, tools) or _keyed(inner, tools):
            return call
        if any(key in inner for key in _ARGUMENTS) and isinstance(inner.get("name"), str):
            return None  # the call of a tool that nobody offered
    name = _first_name(before, tools)
    return Function(name=name, arguments=value) if name else None


def tool_call(function: Function) -> ToolCall:
    """The call with an id of its own."""
    letters = (secrets.choice(_ID_LETTERS) for _ in range(8))
    return ToolCall(id="call_" + "".join(letters), function=function)


def decode_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is; None when it is none."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _named(value: dict[str, Any], tools: Sequence[str]) -> Function | None:
    """A call whose tool is the object's `name`, or without one any of its values."""
    name = value.get("name")
    if not isinstance(name, str):
        name = next((item for item in value.values() if item in tools), None)
    if not isinstance(name, str) or name not in tools:
        return None
    for key in _ARGUMENTS:
        arguments = _object(value.get(key))
        if arguments is not None:
            return Function(name=name, arguments=arguments)
    return Function(name=name) if value.keys() <= _BESIDE_NAME else None


def _keyed(value: dict[str, Any], tools: Sequence[str]) -> Function | None:
    for name in tools:
        arguments = _object(value.get(name))
        if arguments is not None:
            return Function(name=name, arguments=arguments)
    return None


def _object(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str):
        value = decode_object(value)
    return value if isinstance(value, dict) else None


def _objects(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The object and those inside it, outer ones first, in the order of the text."""
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(reversed(item.values()))
        elif isinstance(item, list):
            waiting.extend(reversed(item))


def _first_name(text: str, tools: Sequence[str]) -> str | None:
    """The tool named first in a text; of two that begin at one place the longer."""
    places = [(text.find(name), -len(name), name) for name in tools]
    return min((place for place in places if place[0] >= 0), default=(0, 0, None))[2]
