"""The items of an answer, and the events that tell a stream of each of them."""

from collections.abc import Iterator, Sequence
from typing import Any

from modelkit import gojson
from modelkit.serve.openai.chat_answer import logprob_lines
from modelkit.serve.openai.responses.items import new_id
from modelkit.serve.openai.responses.store import Item
from modelkit.serve.output import Output
from modelkit.serve.types import TokenLogprob
from modelkit.templates.messages import ToolCall

Event = dict[str, Any]
"""An event without its sequence_number."""


class OutputItems:
    """The items so far, in the order in which the model began them; at most the last is open."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.thoughts = ""
        self._open: _Thoughts | _Text | None = None
        # Blank text opens no message, for there may be only a call after it.
        self._blank = ""
        self._logprobs: list[dict[str, Any]] = []

    def take(self, output: Output, logprobs: Sequence[TokenLogprob]) -> Iterator[Event]:
        """Add the next part of the answer."""
        self._logprobs += logprob_lines(logprobs)
        if output.thinking:
            yield from self._think(output.thinking)
        if output.content:
            yield from self._write(output.content)
        for call in output.tool_calls:
            yield from self._call(call)

    def finish(self, status: str) -> Iterator[Event]:
        """The end of the answer; an answer that is complete has a message or a call."""
        said = any(item["type"] != "reasoning" for item in self.items)
        if self._blank or not (said or status == "incomplete"):
            yield from self._add(self._blank)
        yield from self._close(status)

    def _think(self, text: str) -> Iterator[Event]:
        self._blank, self._logprobs = "", []
        self.thoughts += text
        if not isinstance(self._open, _Thoughts):
            yield from self._close()
            self._open = _Thoughts(len(self.items))
            self.items.append(self._open.item)
            yield from self._open.begin()
        yield from self._open.add(text)

    def _write(self, text: str) -> Iterator[Event]:
        text, self._blank = self._blank + text, ""
        if text.isspace() and not isinstance(self._open, _Text):
            self._blank = text
            return
        yield from self._add(text)

    def _add(self, text: str) -> Iterator[Event]:
        if isinstance(self._open, _Thoughts):
            self._logprobs = _written(text, self._logprobs)
        message = self._open
        if not isinstance(message, _Text):
            yield from self._close()
            message = self._open = _Text(len(self.items))
            self.items.append(message.item)
            yield from message.begin()
        if text:
            yield from message.add(text, self._logprobs)
        self._logprobs = []

    def _call(self, call: ToolCall) -> Iterator[Event]:
        yield from self._close()
        self._blank, self._logprobs = "", []
        index = len(self.items)
        name, arguments = call.function.name, gojson.dumps(call.function.arguments).decode()
        item: Item = {"id": new_id("fc"), "type": "function_call", "status": "in_progress"}
        item |= {"call_id": call.id, "name": name, "arguments": ""}
        self.items.append(item)
        at = {"item_id": item["id"], "output_index": index}
        kind = "response.function_call_arguments"
        yield _added(item, index)
        yield {"type": f"{kind}.delta", **at, "delta": arguments}
        yield {"type": f"{kind}.done", **at, "name": name, "arguments": arguments}
        item |= {"status": "completed", "arguments": arguments}
        yield _done(item, index)

    def _close(self, status: str = "completed") -> Iterator[Event]:
        if self._open is not None:
            yield from self._open.end(status)
        self._open = None


class _Thoughts:
    """A reasoning item: the thoughts are its summary, and once more in `encrypted_content`.

    Clients send that back, also those that keep no summaries.
    """

    def __init__(self, index: int) -> None:
        self.item: Item = {"id": new_id("rs"), "type": "reasoning", "summary": []}
        self._index = index
        self._at = {"item_id": self.item["id"], "output_index": index, "summary_index": 0}
        self._texts: list[str] = []

    def begin(self) -> Iterator[Event]:
        """The item, and its only part."""
        yield _added(self.item, self._index)
        part = {"type": "summary_text", "text": ""}
        yield {"type": "response.reasoning_summary_part.added", **self._at, "part": part}

    def add(self, text: str) -> Iterator[Event]:
        """More thoughts."""
        self._texts.append(text)
        yield {"type": "response.reasoning_summary_text.delta", **self._at, "delta": text}

    def end(self, _: str) -> Iterator[Event]:
        """All of them, and the whole item."""
        text = "".join(self._texts)
        part = {"type": "summary_text", "text": text}
        yield {"type": "response.reasoning_summary_text.done", **self._at, "text": text}
        yield {"type": "response.reasoning_summary_part.done", **self._at, "part": part}
        self.item |= {"summary": [part], "encrypted_content": text}
        yield _done(self.item, self._index)


class _Text:
    """A message item with one part of text."""

    def __init__(self, index: int) -> None:
        self.item: Item = {"id": new_id("msg"), "type": "message", "status": "in_progress"}
        self.item |= {"role": "assistant", "content": []}
        self._index = index
        self._at = {"item_id": self.item["id"], "output_index": index, "content_index": 0}
        self._texts: list[str] = []
        self._logprobs: list[dict[str, Any]] = []

    def begin(self) -> Iterator[Event]:
        """The item, and its only part."""
        yield _added(self.item, self._index)
        yield {"type": "response.content_part.added", **self._at, "part": self._part()}

    def add(self, text: str, logprobs: list[dict[str, Any]]) -> Iterator[Event]:
        """More text."""
        self._texts.append(text)
        self._logprobs += logprobs
        kind = "response.output_text.delta"
        yield {"type": kind, **self._at, "delta": text, "logprobs": logprobs}

    def end(self, status: str) -> Iterator[Event]:
        """All of the text, its part, and the whole item."""
        part = self._part()
        said = {"text": part["text"], "logprobs": self._logprobs}
        yield {"type": "response.output_text.done", **self._at, **said}
        yield {"type": "response.content_part.done", **self._at, "part": part}
        self.item |= {"status": status, "content": [part]}
        yield _done(self.item, self._index)

    def _part(self) -> dict[str, Any]:
        text = "".join(self._texts)
        return {
            "type": "output_text",
            "text": text,
            "annotations": [],
            "logprobs": self._logprobs,
        }


def _written(text: str, logprobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last of the tokens, those of the text: before them came the end of the thoughts."""
    place, length = len(logprobs), 0
    while place and length < len(text):
        place -= 1
        length += len(logprobs[place]["token"])
    return logprobs[place:]


def _added(item: Item, index: int) -> Event:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def _done(item: Item, index: int) -> Event:
    return {"type": "response.output_item.done", "output_index": index, "item": item}
