"""Thoughts between tags at the beginning of an answer."""

from typing import Literal

from modelkit.serve.output.parser import Output
from modelkit.serve.output.tags import before_tag


class ThinkingParser:
    """Takes the first block of thoughts out of an answer; an OutputParser.

    Only whitespace may stand before the opening tag: with any other text the whole answer is
    content, the whitespace included. Whitespace after either tag is dropped. `started` says that
    the prompt ended with the opening tag.
    """

    def __init__(self, opening: str, closing: str, *, started: bool = False) -> None:
        self._opening = opening
        self._closing = closing
        self._held = ""
        self._place: Literal["before", "inside", "after"] = "inside" if started else "before"
        self._after_tag = started

    def feed(self, text: str) -> Output:
        """As OutputParser.feed."""
        self._held += text
        output = Output()
        if self._place == "before":
            self._open()
        if self._place == "inside":
            output.thinking = self._think()
        if self._place == "after":
            output.content = self._answer()
        return output

    def finish(self) -> Output:
        """Part of a tag that was never completed is text like any other."""
        held, self._held = self._held, ""
        return Output(thinking=held) if self._place == "inside" else Output(content=held)

    def _open(self) -> None:
        text = self._held.lstrip()
        if text.startswith(self._opening):
            self._enter("inside", text.removeprefix(self._opening))
        elif not self._opening.startswith(text):
            self._place = "after"

    def _think(self) -> str:
        self._skip_space()
        thoughts, closed, answer = self._held.partition(self._closing)
        if closed:
            self._enter("after", answer)
        else:
            thoughts, self._held = before_tag(self._held, self._closing)
        return thoughts

    def _answer(self) -> str:
        self._skip_space()
        answer, self._held = self._held, ""
        return answer

    def _enter(self, place: Literal["inside", "after"], rest: str) -> None:
        self._place, self._held, self._after_tag = place, rest, True

    def _skip_space(self) -> None:
        """Drop whitespace as long as nothing else has come since the last tag."""
        if self._after_tag:
            self._held = self._held.lstrip()
            self._after_tag = not self._held
