"""The answers of a text completion, whole or as chunks."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from modelkit.serve.completion import Delta, Done
from modelkit.serve.openai.choices import Part
from modelkit.serve.openai.numbers import FINGERPRINT, Usage, fresh_id
from modelkit.serve.openai.prompts import TextPrompt
from modelkit.serve.openai.sse import DONE, frame
from modelkit.serve.types import TokenLogprob


class _Choice:
    """One of the answers so far; with `echo` its prompt is told with its first part."""

    def __init__(self, index: int, prompt: TextPrompt, *, echo: bool) -> None:
        self.reason: str | None = None
        self._index = index
        self._prompt = prompt
        self._echo = echo
        self._texts: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._offset = 0

    def take(self, part: Delta | Done) -> dict[str, Any] | None:
        """What the part adds to the answer; nothing for thoughts, which are no text."""
        if isinstance(part, Done):
            self.reason = part.finished.reason
            return self._line(self._said(""), [])
        if part.output.thinking and not part.output.content:
            return None
        self._logprobs += part.logprobs
        return self._line(self._said(part.output.content), part.logprobs)

    def whole(self) -> dict[str, Any]:
        """All of the answer."""
        self._offset = 0
        return self._line("".join(self._texts), self._logprobs)

    def _said(self, text: str) -> str:
        if self._echo:
            text, self._echo = self._prompt.text + text, False
        self._texts.append(text)
        return text

    def _line(self, text: str, logprobs: Sequence[TokenLogprob]) -> dict[str, Any]:
        return {
            "text": text,
            "index": self._index,
            "logprobs": self._lists(logprobs) if logprobs else None,
            "finish_reason": self.reason,
        }

    def _lists(self, logprobs: Sequence[TokenLogprob]) -> dict[str, Any]:
        """In the form of old: a list for each kind of number."""
        offsets = []
        for item in logprobs:
            offsets.append(self._offset)
            self._offset += len(item.token)
        return {
            "tokens": [item.token for item in logprobs],
            "token_logprobs": [item.logprob for item in logprobs],
            "top_logprobs": [{top.token: top.logprob for top in item.top} for item in logprobs],
            "text_offset": offsets,
        }


class TextAnswer:
    """`number` answers to each prompt by the model that the client calls `model`."""

    def __init__(
        self, model: str, prompts: Sequence[TextPrompt], number: int, *, echo: bool
    ) -> None:
        self._model = model
        self._number = number
        self._id = fresh_id("cmpl-")
        self._created = int(time.time())
        asked = [prompt for prompt in prompts for _ in range(number)]
        self._choices = [_Choice(index, prompt, echo=echo) for index, prompt in enumerate(asked)]
        self._usage = Usage()

    async def take(self, parts: AsyncGenerator[Part, None]) -> None:
        """Add all parts."""
        async with aclosing(parts):
            async for index, part in parts:
                self._take(index, part)

    async def frames(
        self, parts: AsyncGenerator[Part, None], *, include_usage: bool
    ) -> AsyncGenerator[bytes, None]:
        """The parts as server-sent events; with usage each has some, and the last the real one."""
        nothing = {"usage": Usage().line()} if include_usage else {}
        async with aclosing(parts):
            async for index, part in parts:
                if line := self._take(index, part):
                    yield frame(self._head([line]) | nothing)
        if include_usage:
            yield frame(self._head([]) | {"usage": self._usage.line()})
        yield DONE

    def whole(self) -> dict[str, Any]:
        """All answers and their numbers."""
        choices = [choice.whole() for choice in self._choices]
        return self._head(choices) | {"usage": self._usage.line()}

    def end(self, reason: str) -> None:
        """End the answers before they began."""
        for choice in self._choices:
            choice.reason = reason

    def _take(self, index: int, part: Delta | Done) -> dict[str, Any] | None:
        if isinstance(part, Done):
            self._usage.add(part.finished, prompt=index % self._number == 0)
        return self._choices[index].take(part)

    def _head(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "model": self._model,
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        }
