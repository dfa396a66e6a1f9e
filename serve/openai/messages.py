"""Messages as OpenAI's clients write them, into messages as templates see them."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from modelkit.serve.api.codec import parse
from modelkit.serve.api.errors import ApiError
from modelkit.serve.openai.errors import FieldError, unsupported
from modelkit.serve.openai.reader import convert
from modelkit.templates.messages import Function, Message, ToolCall

_ROLES = {role: role for role in ("system", "user", "assistant", "tool")}
# Templates know neither: a developer's text is what a system message was before it had that name.
_ROLES |= {"developer": "system", "function": "tool"}
_IMAGE = re.compile(r"data:(?:image/(?:jpeg|jpg|png|webp))?;base64,")
_BAD_PART = "invalid message format"
_GO_KINDS = {bool: "bool", int: "float64", float: "float64", dict: "map[string]interface {}"}


class CalledFunction(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What an earlier call asked for; the arguments are JSON in a string."""

    name: str
    arguments: str
    parsed_arguments: Any = None


class CalledTool(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A call of an earlier answer."""

    function: CalledFunction
    id: str | None = None
    type: str | None = None
    index: int | None = None


class ChatMessage(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One message of a request; what an answer's message holds may come back in it."""

    role: str
    content: Any = None
    name: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[CalledTool] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    annotations: Any = None
    parsed: Any = None
    audio: Any = None
    function_call: Any = None


def chat_messages(values: Sequence[object]) -> list[Message]:
    """A request's conversation; raises FieldError that names what is wrong and where."""
    messages: list[Message] = []
    for index, value in enumerate(values):
        where = f"messages[{index}]"
        found = _message(convert(value, ChatMessage, where), where)
        if found.role == "tool" and not found.tool_name:
            found.tool_name = called_name(messages, found.tool_call_id)
        messages.append(found)
    return messages


def called_name(messages: Sequence[Message], call_id: str) -> str:
    """The tool of the last call with this id; empty when there is none."""
    calls = [call for message in messages for call in message.tool_calls]
    return next((call.function.name for call in reversed(calls) if call.id == call_id), "")


def call_arguments(text: str, field: str) -> dict[str, Any]:
    """The arguments of a call, which are a JSON object in a string; raises FieldError."""
    try:
        value = parse(text)
    except ApiError:
        value = None
    if not isinstance(value, dict):
        raise FieldError(field, "invalid tool call arguments")
    return value


def image_data(url: str, field: str) -> str:
    """The base64 of an image in a data URL; raises FieldError for any other URL."""
    if url.startswith(("http://", "https://")):
        text = "image URLs are not currently supported, please use base64 encoded data instead"
        raise FieldError(field, text)
    prefix = _IMAGE.match(url)
    if prefix is None:
        raise FieldError(field, "invalid image input")
    return url[prefix.end() :]


def _message(given: ChatMessage, where: str) -> Message:
    role = _ROLES.get(given.role.lower())
    if role is None:
        text = f"Invalid value for '{where}.role': '{given.role[:40]}'"
        raise FieldError(f"{where}.role", text, "invalid_value")
    for name in ("audio", "function_call"):
        if getattr(given, name) is not None:
            raise unsupported(f"{where}.{name}")
    texts, images = _content(given, f"{where}.content")
    return Message(
        role=role,
        content="\n".join(texts),
        images=images,
        thinking=given.reasoning or given.reasoning_content or "",
        tool_calls=[
            _call(call, f"{where}.tool_calls[{index}]")
            for index, call in enumerate(given.tool_calls or [])
        ],
        tool_name=given.name or "",
        tool_call_id=given.tool_call_id or "",
    )


def _call(call: CalledTool, where: str) -> ToolCall:
    if call.type not in (None, "function"):
        raise unsupported(f"{where}.type")
    arguments = call_arguments(call.function.arguments, f"{where}.function.arguments")
    return ToolCall(
        id=call.id or "", function=Function(name=call.function.name, arguments=arguments)
    )


def _content(given: ChatMessage, where: str) -> tuple[list[str], list[str]]:
    """The texts and the images of a message."""
    content = given.content
    if isinstance(content, str):
        return [content], []
    if isinstance(content, list):
        return _parts(content, where)
    if content is None and given.tool_calls is not None:
        return [], []
    if content is None and given.refusal is not None:
        return [given.refusal], []
    kind = _GO_KINDS.get(type(content), "<nil>")
    raise FieldError(where, f"invalid message content type: {kind}")


def _parts(parts: list[Any], where: str) -> tuple[list[str], list[str]]:
    texts: list[str] = []
    images: list[str] = []
    for index, part in enumerate(parts):
        field = f"{where}[{index}]"
        if not isinstance(part, dict):
            raise FieldError(field, _BAD_PART)
        match part.get("type"):
            case "text" | "refusal" as kind if isinstance(part.get(kind), str):
                texts.append(part[kind])
            case "image_url":
                images.append(_image(part.get("image_url"), field))
            case "input_audio" | "file" as kind:
                raise unsupported(f"{field}.{kind}")
            case _:
                raise FieldError(field, _BAD_PART)
    return texts, images


def _image(value: object, field: str) -> str:
    url = value.get("url") if isinstance(value, dict) else value
    if not isinstance(url, str):
        raise FieldError(field, _BAD_PART)
    return image_data(url, field)
