"""The answers of a chat completion, whole or as chunks."""

import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from modelkit.serve.completion import Delta, Done
from modelkit.serve.openai.choices import Part
from modelkit.serve.openai.numbers import FINGERPRINT, Usage, fresh_id
from modelkit.serve.openai.sse import DONE, frame
from modelkit.serve.openai.tools import call_lines
from modelkit.serve.output import Output
from modelkit.serve.types import TokenLogprob


class _Choice:
    """One of the answers so far."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.output = Output()
        self.logprobs: list[dict[str, Any]] = []
        self.reason: str | None = None
        self.begun = False

    def take(self, part: Delta | Done) -> None:
        """Add the next part of the answer."""
        if isinstance(part, Done):
            called = part.finished.reason == "stop" and self.output.tool_calls
            self.reason = "tool_calls" if called else part.finished.reason
            return
        self.output += part.output
        self.logprobs += logprob_lines(part.logprobs)

    def line(self) -> dict[str, Any]:
        """The whole answer."""
        output = self.output
        message = {"role": "assistant", "content": output.content}
        message |= _given(reasoning=output.thinking, tool_calls=call_lines(output.tool_calls))
        logprobs = _given(logprobs={"content": self.logprobs} if self.logprobs else None)
        return {
            "index": self.index,
            "message": message,
            "finish_reason": self.reason,
            **logprobs,
        }

    def chunks(self, part: Delta | Done) -> Iterator[dict[str, Any]]:
        """What the part adds to a stream; take it first."""
        if isinstance(part, Done):
            if not self.begun:
                yield self._chunk({"content": ""})
            yield {"index": self.index, "delta": {}, "finish_reason": self.reason}
            return
        output, logprobs = part.output, logprob_lines(part.logprobs)
        calls = _given(tool_calls=call_lines(output.tool_calls))
        if output.thinking and (output.content or calls):
            yield self._chunk({"reasoning": output.thinking}, logprobs)
            yield self._chunk({"content": output.content} | calls)
            return
        thoughts = _given(reasoning=output.thinking)
        yield self._chunk({"content": output.content} | thoughts | calls, logprobs)

    def _chunk(
        self, delta: dict[str, Any], logprobs: Sequence[dict[str, Any]] = ()
    ) -> dict[str, Any]:
        role = {} if self.begun else {"role": "assistant"}
        self.begun = True
        return {
            "index": self.index,
            "delta": role | delta,
            "finish_reason": None,
            **_given(logprobs={"content": logprobs} if logprobs else None),
        }


class ChatAnswer:
    """`number` answers of the model that the client calls `model`."""

    def __init__(self, model: str, number: int) -> None:
        self._model = model
        self._id = fresh_id("chatcmpl-")
        self._created = int(time.time())
        self._choices = [_Choice(index) for index in range(number)]
        self._usage = Usage()

    async def take(self, parts: AsyncGenerator[Part, None]) -> None:
        """Add all parts."""
        async with aclosing(parts):
            async for index, part in parts:
                self._take(index, part)

    async def frames(
        self, parts: AsyncGenerator[Part, None], *, include_usage: bool
    ) -> AsyncGenerator[bytes, None]:
        """The parts as server-sent events."""
        async with aclosing(parts):
            async for index, part in parts:
                self._take(index, part)
                for chunk in self._choices[index].chunks(part):
                    yield frame(self._head("chat.completion.chunk", [chunk]))
        if include_usage:
            usage = {"usage": self._usage.line()}
            yield frame(self._head("chat.completion.chunk", []) | usage)
        yield DONE

    def whole(self) -> dict[str, Any]:
        """All answers and their numbers."""
        choices = [choice.line() for choice in self._choices]
        return self._head("chat.completion", choices) | {"usage": self._usage.line()}

    def _take(self, index: int, part: Delta | Done) -> None:
        self._choices[index].take(part)
        if isinstance(part, Done):
            self._usage.add(part.whole, prompt=index == 0)

    def _head(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._model,
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        }


def logprob_lines(logprobs: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    """The runner's log probabilities in the API's form."""
    return [
        {
            "token": item.token,
            "logprob": item.logprob,
            "bytes": item.bytes,
            "top_logprobs": [
                {"token": top.token, "logprob": top.logprob, "bytes": top.bytes} for top in item.top
            ],
        }
        for item in logprobs
    ]


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that are not empty."""
    return {name: value for name, value in fields.items() if value}
