"""What the model said as one of Anthropic's messages."""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from modelkit.serve.anthropic.request import MessagesRequest
from modelkit.serve.output import Output
from modelkit.serve.types import Finished
from modelkit.templates.messages import ToolCall


def message(body: MessagesRequest, outputs: Sequence[Output], finished: Finished) -> dict[str, Any]:
    """The whole answer: thoughts, text, calls, why it ended and what it took."""
    calls = [call for output in outputs for call in output.tool_calls]
    thoughts = "".join(output.thinking for output in outputs)
    text = "".join(output.content for output in outputs)
    content = [
        *([thinking_block(thoughts, hidden=body.hides_thoughts)] if thoughts else []),
        *([{"type": "text", "text": text}] if text else []),
        *(tool_use_block(call) for call in calls),
    ]
    return {
        **new_message(body, usage(finished)),
        "content": content,
        **ending(body, finished, called=bool(calls)),
        **edits(body),
    }


def new_message(body: MessagesRequest, usage: dict[str, Any]) -> dict[str, Any]:
    """A message that says nothing yet."""
    return {
        "id": "msg_" + secrets.token_hex(12),
        "type": "message",
        "role": "assistant",
        "model": body.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "service_tier": "standard"},
    }


def ending(body: MessagesRequest, finished: Finished, *, called: bool) -> dict[str, str | None]:
    """Why the message ended: `stop_reason`, and the `stop_sequence` if one did it."""
    reason, sequence = "end_turn", None
    if called:
        reason = "tool_use"
    elif finished.reason == "length":
        full = finished.tokens < body.max_tokens
        reason = "model_context_window_exceeded" if full else "max_tokens"
    elif finished.stop in (body.stop_sequences or ()):
        reason, sequence = "stop_sequence", finished.stop
    return {"stop_reason": reason, "stop_sequence": sequence}


def edits(body: MessagesRequest) -> dict[str, Any]:
    """That nothing of what `context_management` proposes was done, for who asked for it."""
    return {} if body.context_management is None else {"context_management": {"applied_edits": []}}


def usage(finished: Finished) -> dict[str, int]:
    """What the answer took. Tokens that the cache knew are not among `input_tokens`."""
    return {
        "input_tokens": finished.prompt_tokens - finished.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": finished.cached_tokens,
        "output_tokens": finished.tokens,
    }


def thinking_block(thoughts: str, *, hidden: bool = False) -> dict[str, str]:
    """Thoughts with their signature, or the signature alone."""
    return {
        "type": "thinking",
        "thinking": "" if hidden else thoughts,
        "signature": signature(thoughts),
    }


def signature(thoughts: str) -> str:
    """A mark that tells these thoughts from others; it proves nothing and none is checked."""
    return base64.b64encode(hashlib.sha256(thoughts.encode()).digest()).decode()


def tool_use_block(call: ToolCall) -> dict[str, Any]:
    """A call with its input."""
    function = call.function
    return {
        "type": "tool_use",
        "id": call.id,
        "name": function.name,
        "input": function.arguments,
    }
