"""Calls of tools in an answer: behind a tag, or as the whole answer."""

from collections.abc import Sequence
from typing import Literal

from modelkit.serve.output.calls import decode_object, find_call, tool_call
from modelkit.serve.output.forms import CallForm
from modelkit.serve.output.objects import ObjectScanner
from modelkit.serve.output.parser import Output, OutputParser
from modelkit.serve.output.tags import before_tag
from modelkit.templates.messages import Function, ToolCall

_BARE_TAGS = ("{", "[")
_BETWEEN_CALLS = " \t\r\n,;[]}"


def tool_parser(tag: str, tools: Sequence[str], form: CallForm | None = None) -> OutputParser:
    """The parser for answers whose calls follow `tag`; `tools` are the names that may be called.

    Calls in another form than the model's own are understood as well.
    """
    return BareCalls(tag, tools) if tag in _BARE_TAGS else TaggedCalls(tag, tools, form)


class TaggedCalls:
    """Calls behind a tag such as `<tool_call>`; an OutputParser.

    Content up to the tag is passed on. After it every JSON object that is a call becomes one, and
    text that belongs to no call is dropped; without any call, all from the tag on is content.
    """

    def __init__(self, tag: str, tools: Sequence[str], form: CallForm | None = None) -> None:
        self._tag = tag
        self._found = False
        self._text = _CallText(tools, form if form and form.style == "named" else None)

    def feed(self, text: str) -> Output:
        """As OutputParser.feed."""
        self._text.held += text
        output = Output()
        if not self._found:
            output.content = self._look_for_tag()
        if self._found:
            while found := self._text.next_object():
                output.tool_calls += [] if found == "other" else [found]
        return output

    def finish(self) -> Output:
        """As OutputParser.finish."""
        return self._text.finish()

    def _look_for_tag(self) -> str:
        held = self._text.held
        self._found = self._tag in held
        end = held.index(self._tag) if self._found else len(before_tag(held, self._tag)[0])
        return self._text.take(end)


class BareCalls:
    """An answer that is nothing but calls, from its first `{` or `[` on; an OutputParser.

    The first thing that is no call ends the calls: it is content, and so is all after it.
    """

    def __init__(self, tag: str, tools: Sequence[str]) -> None:
        self._tag = tag
        self._place: Literal["before", "calls", "after"] = "before"
        self._text = _CallText(tools)

    def feed(self, text: str) -> Output:
        """As OutputParser.feed."""
        self._text.held += text
        output = Output()
        if self._place == "before":
            output.content = self._start()
        if self._place == "calls":
            output.tool_calls = self._calls()
        if self._place == "after":
            output.content += self._text.take()
        return output

    def finish(self) -> Output:
        """As OutputParser.finish."""
        return self._text.finish()

    def _start(self) -> str:
        """Pass on whitespace; what comes after it decides whether there are calls."""
        text = self._text.held.lstrip()
        if text:
            self._place = "calls" if text.startswith(self._tag) else "after"
        return self._text.take(len(self._text.held) - len(text))

    def _calls(self) -> list[ToolCall]:
        calls: list[ToolCall] = []
        while (rest := self._text.held.lstrip(_BETWEEN_CALLS)).startswith("{"):
            found = self._text.next_object()
            if found is None:
                return calls
            if found == "other":
                break
            calls.append(found)
        if rest:
            self._place = "after"
            if self._text.count:
                self._text.take(len(self._text.held) - len(rest))
        return calls


class _CallText:
    """Text in which calls are looked for; `count` have been found and taken out of it.

    `form` is that of calls whose names stand before their objects.
    """

    def __init__(self, tools: Sequence[str], form: CallForm | None = None) -> None:
        self.held = ""
        self.count = 0
        self._tools = tools
        self._form = form
        self._scanner = ObjectScanner()
        self._searched = 0

    def take(self, end: int | None = None) -> str:
        """The held text up to `end`; the search begins anew behind it."""
        taken = self.held[:end]
        self.held = self.held[len(taken) :]
        self._scanner, self._searched = ObjectScanner(), 0
        return taken

    def next_object(self) -> ToolCall | Literal["other"] | None:
        """The next whole object: a call, taken out with all before it, or another; None: none."""
        bounds = self._scanner.next(self.held)
        if bounds is None:
            return None
        start, end = bounds
        call = self._find(self.held[self._searched : start], self.held[start:end])
        self._searched = end
        if call is None:
            return "other"
        call.index = self.count
        self.count += 1
        self.take(end)
        return tool_call(call)

    def _find(self, before: str, text: str) -> Function | None:
        """Arguments may look like a call: where the form has the name before them, it counts."""
        if self._form and before.endswith(self._form.middle):
            name = before.removesuffix(self._form.middle).rpartition(self._form.before)[2].strip()
            arguments = decode_object(text)
            if name in self._tools and arguments is not None:
                return Function(name=name, arguments=arguments)
        return find_call(before, text, self._tools)

    def finish(self) -> Output:
        """A rest that is no call is content only when there was no call at all."""
        rest = self.take()
        return Output() if self.count else Output(content=rest)
