"""From the text a model writes to what it means: the seam for thinking and tool calls."""

from typing import Any, Protocol

import msgspec


class Output(msgspec.Struct):
    """A part of an answer, sorted: text for the reader, thoughts, finished tool calls."""

    content: str = ""
    thinking: str = ""
    tool_calls: list[dict[str, Any]] = []

    def __bool__(self) -> bool:
        return bool(self.content or self.thinking or self.tool_calls)


class OutputParser(Protocol):
    """Sorts one answer; text it cannot place yet is held back until more arrives."""

    def feed(self, text: str) -> Output:
        """Take the next piece of text; what is certain by now comes back."""
        ...

    def finish(self) -> Output:
        """The model has stopped: whatever was held back."""
        ...


class PlainParser:
    """Everything is content."""

    def feed(self, text: str) -> Output:
        """The text itself."""
        return Output(content=text)

    def finish(self) -> Output:
        """Nothing is ever held back."""
        return Output()
