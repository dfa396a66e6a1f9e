"""Input items in one form: whatever way a client wrote them, and with an id each."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from modelkit.serve.openai.errors import FieldError
from modelkit.serve.openai.responses.parts import (
    kind_of,
    read_content,
    read_text,
    read_texts,
    wrong,
)
from modelkit.serve.openai.responses.store import Item
from modelkit.serve.output.calls import decode_object

_ROLES = ("user", "assistant", "system", "developer")

Find = Callable[[str], Item | None]
"""An item that was kept, by its id."""


def new_id(prefix: str) -> str:
    """An id that nobody can guess."""
    return f"{prefix}_{secrets.token_hex(16)}"


def read_input(value: object, find: Find) -> list[Item]:
    """The `input` of a request as items; raises ApiError 400 that names the item."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [_message({"role": "user", "content": value}, "input")]
    if not isinstance(value, list):
        raise FieldError("input", f"input must be a string or array, not {kind_of(value)}")
    return [_read(item, f"input[{place}]", find) for place, item in enumerate(value)]


def _read(item: object, at: str, find: Find) -> Item:
    if not isinstance(item, dict):
        raise wrong(at, f"an input item must be an object, not {kind_of(item)}")
    kind = item.get("type")
    if kind is None and "role" in item:
        kind = "message"
    if kind == "item_reference" or (kind is None and item.keys() == {"id"}):
        return _referred(item, at, find)
    if kind is None:
        raise wrong(at, "input item missing required 'type' field")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise wrong(at, f'unknown or unsupported input item type: "{kind}"')
    return read(item, at)


def _referred(item: Item, at: str, find: Find) -> Item:
    name = read_text(item, "id", at)
    found = find(name)
    if found is None:
        raise wrong(at, f"Item with id '{name}' not found.")
    return found


def _message(item: Item, at: str) -> Item:
    role = read_text(item, "role", at).lower()
    if role not in _ROLES:
        raise wrong(at, f'unknown role "{role}"')
    content = read_content(item.get("content"), at, "content", _plain(role))
    return _item("message", "msg", item, role=role, content=content)


def _plain(role: str) -> str:
    return "output_text" if role == "assistant" else "input_text"


def _call(item: Item, at: str) -> Item:
    arguments = read_text(item, "arguments", at, default="")
    if arguments and decode_object(arguments) is None:
        raise wrong(at, "failed to parse function call arguments: not a JSON object")
    return _item(
        "function_call",
        "fc",
        item,
        call_id=read_text(item, "call_id", at),
        name=read_text(item, "name", at),
        arguments=arguments,
    )


def _output(item: Item, at: str) -> Item:
    output = item.get("output")
    if not isinstance(output, str):
        output = read_content(output, at, "output", "input_text")
    call = read_text(item, "call_id", at)
    return _item("function_call_output", "fco", item, call_id=call, output=output)


def _reasoning(item: Item, at: str) -> Item:
    fields: Item = {"summary": read_texts(item, "summary", at)}
    if content := read_texts(item, "content", at):
        fields["content"] = content
    if item.get("encrypted_content") is not None:
        fields["encrypted_content"] = read_text(item, "encrypted_content", at)
    return _item("reasoning", "rs", item, **fields)


def _web_search(item: Item, at: str) -> Item:
    return {**item, "id": _id(item, "ws")}


_READERS: Mapping[str, Callable[[Item, str], Item]] = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _output,
    "reasoning": _reasoning,
    "web_search_call": _web_search,
}


def _item(kind: str, prefix: str, given: Item, **fields: Any) -> Item:
    status = {} if kind == "reasoning" else {"status": "completed"}
    return {"id": _id(given, prefix), "type": kind, **status, **fields}


def _id(item: Item, prefix: str) -> str:
    given = item.get("id")
    return given if isinstance(given, str) and given else new_id(prefix)
