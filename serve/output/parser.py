"""From the text a model writes to what it means: the seam for thinking and tool calls."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from modelkit.templates.messages import ToolCall


class Output(msgspec.Struct):
    """A part of an answer, sorted: text for the reader, thoughts, finished tool calls."""

    content: str = ""
    thinking: str = ""
    tool_calls: list[ToolCall] = []

    def __bool__(self) -> bool:
        return bool(self.content or self.thinking or self.tool_calls)

    def __add__(self, other: "Output") -> "Output":
        """Both parts, this one first."""
        return Output(
            self.content + other.content,
            self.thinking + other.thinking,
            self.tool_calls + other.tool_calls,
        )


class OutputParser(Protocol):
    """Sorts one answer; text it cannot place yet is held back until more arrives.

    What comes out in all does not depend on how the answer was cut into pieces.
    """

    def feed(self, text: str) -> Output:
        """Take the next piece of text; what is certain by now comes back."""
        ...

    def finish(self) -> Output:
        """The model has stopped: whatever was held back."""
        ...


class StagedParser:
    """Parsers in a row, each sorting what the one before it took for content.

    With no stages at all everything is content.
    """

    def __init__(self, stages: Sequence[OutputParser] = ()) -> None:
        self._stages = stages

    def feed(self, text: str) -> Output:
        """As OutputParser.feed."""
        found = Output(content=text)
        for stage in self._stages:
            found = _replaced(found, stage.feed(found.content))
        return found

    def finish(self) -> Output:
        """As OutputParser.finish; what a stage held back goes through those after it."""
        found = Output()
        for stage in self._stages:
            found = _replaced(found, stage.feed(found.content) + stage.finish())
        return found


def _replaced(found: Output, sorted_content: Output) -> Output:
    """What was found, its content replaced by what a stage made of it."""
    return Output(thinking=found.thinking, tool_calls=found.tool_calls) + sorted_content
