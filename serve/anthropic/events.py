"""A message in parts: the events of its stream."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import msgspec

from modelkit.serve.anthropic.answer import (
    edits,
    ending,
    new_message,
    signature,
    tool_use_block,
    usage,
)
from modelkit.serve.anthropic.prompt import CountedPrompt
from modelkit.serve.anthropic.request import MessagesRequest
from modelkit.serve.completion import Delta, Done
from modelkit.serve.output import Output
from modelkit.templates.messages import ToolCall

Event = dict[str, Any]
PING: Event = {"type": "ping"}


async def events(
    body: MessagesRequest, parts: AsyncGenerator[Delta | Done, None], prompt: CountedPrompt
) -> AsyncGenerator[Event, None]:
    """From message_start, once the prompt is read, to message_stop."""
    blocks = _Blocks(hidden=body.hides_thoughts)
    started = False
    async with aclosing(parts):
        async for part in parts:
            if not started:
                started = True
                counts = {"input_tokens": prompt.tokens, "output_tokens": 0}
                yield {"type": "message_start", "message": new_message(body, counts)}
                yield PING
            if isinstance(part, Delta):
                for event in blocks.add(part.output):
                    yield event
                continue
            for event in blocks.close():
                yield event
            delta = ending(body, part.whole, called=blocks.called)
            counted = {"usage": usage(part.whole)}
            yield {"type": "message_delta", "delta": delta, **counted, **edits(body)}
    yield {"type": "message_stop"}


class _Blocks:
    """Opens and closes blocks as what the model writes changes its kind."""

    def __init__(self, *, hidden: bool) -> None:
        self.called = False
        self._hidden = hidden
        self._index = -1
        self._open = ""
        self._thoughts: list[str] = []

    def add(self, output: Output) -> Iterator[Event]:
        if output.thinking:
            yield from self._think(output.thinking)
        if output.content:
            yield from self._switch("text", {"text": ""})
            yield self._delta({"type": "text_delta", "text": output.content})
        for call in output.tool_calls:
            yield from self._call(call)

    def close(self) -> Iterator[Event]:
        """The end of the block that is open, if one is."""
        if not self._open:
            return
        if self._open == "thinking":
            mark = signature("".join(self._thoughts))
            yield self._delta({"type": "signature_delta", "signature": mark})
            self._thoughts.clear()
        self._open = ""
        yield {"type": "content_block_stop", "index": self._index}

    def _think(self, text: str) -> Iterator[Event]:
        yield from self._switch("thinking", {"thinking": "", "signature": ""})
        self._thoughts.append(text)
        if not self._hidden:
            yield self._delta({"type": "thinking_delta", "thinking": text})

    def _call(self, call: ToolCall) -> Iterator[Event]:
        """A call comes whole, so its input is one piece of JSON."""
        self.called = True
        yield from self.close()
        block = tool_use_block(call)
        arguments = msgspec.json.encode(block["input"]).decode()
        yield from self._switch("tool_use", {**block, "input": {}})
        yield self._delta({"type": "input_json_delta", "partial_json": arguments})
        yield from self.close()

    def _switch(self, kind: str, fields: Event) -> Iterator[Event]:
        if self._open == kind:
            return
        yield from self.close()
        self._open = kind
        self._index += 1
        block = {"type": kind, **fields}
        yield {"type": "content_block_start", "index": self._index, "content_block": block}

    def _delta(self, delta: Event) -> Event:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}
