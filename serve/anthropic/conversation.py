"""Anthropic's turns as the messages that templates know."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from modelkit.serve.anthropic.blocks import (
    Content,
    ContentBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    blocks_of,
    images_of,
    text_of,
)
from modelkit.templates.messages import Function, Message, ToolCall


class Turn(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One message of a request."""

    role: Literal["user", "assistant", "system"]
    content: Content | None = None


def messages_of(system: str | list[TextBlock] | None, turns: Sequence[Turn]) -> list[Message]:
    """The conversation; raises ApiError 400 for an image that cannot be read."""
    text = system if isinstance(system, str) else "".join(block.text for block in system or [])
    head = [Message(role="system", content=text)] if text else []
    names = _tool_names(turns)
    return head + [message for turn in turns for message in _messages(turn, names)]


def _tool_names(turns: Sequence[Turn]) -> dict[str, str]:
    """The tool of each call, by the call's id."""
    calls = (block for turn in turns for block in blocks_of(turn.content))
    return {block.id: block.name for block in calls if isinstance(block, ToolUseBlock)}


def _messages(turn: Turn, names: Mapping[str, str]) -> Iterator[Message]:
    """Results of tools are messages of their own; a user's come before what the user says.

    Source: spec section 2.1. A turn that says nothing is no message.
    """
    blocks = blocks_of(turn.content)
    results = [_result(block, names) for block in blocks if isinstance(block, ToolResultBlock)]
    own = _own(turn.role, blocks)
    if turn.role == "user":
        yield from results
    if own.content or own.thinking or own.images or own.tool_calls:
        yield own
    if turn.role != "user":
        yield from results


def _own(role: str, blocks: list[ContentBlock]) -> Message:
    thoughts = [block.thinking for block in blocks if isinstance(block, ThinkingBlock)]
    calls = [block for block in blocks if isinstance(block, ToolUseBlock)]
    return Message(
        role=role,
        content=text_of(blocks),
        thinking="\n".join(filter(None, thoughts)),
        images=images_of(blocks),
        tool_calls=[
            ToolCall(
                id=call.id, function=Function(index=index, name=call.name, arguments=call.input)
            )
            for index, call in enumerate(calls)
        ],
    )


def _result(block: ToolResultBlock, names: Mapping[str, str]) -> Message:
    parts = blocks_of(block.content)  # type: ignore[arg-type]
    text = text_of(parts)
    return Message(
        role="tool",
        content=f"Error: {text}" if block.is_error else text,
        images=images_of(parts),
        tool_name=names.get(block.tool_use_id, ""),
        tool_call_id=block.tool_use_id,
    )
