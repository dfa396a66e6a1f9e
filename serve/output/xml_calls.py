"""Calls in the form of Qwen3-Coder: `<function=name>`, each argument between tags of its own."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from modelkit.serve.output.calls import tool_call
from modelkit.serve.output.parser import Output
from modelkit.serve.output.tags import before_tag
from modelkit.serve.output.xml_values import decode_value
from modelkit.templates.messages import Function, ToolCall

_FUNCTION = re.compile(r"<function=([^>\n]+)>")
_NEXT = re.compile(r"<parameter=([^>\n]+)>\n?|</function>")
_VALUE_END = re.compile(r"\n?</parameter>")


class XmlCalls:
    """Calls behind a tag; an OutputParser.

    As in TaggedCalls, content up to the tag is passed on, text after it that belongs to no call is
    dropped, and without any call all from the tag on is content. Types come from the schemas.
    """

    def __init__(self, tag: str, tools: Sequence[str], schemas: Mapping[str, Any]) -> None:
        """`schemas`: the parameters of the tools by name, as JSON schemas."""
        self._tag = tag
        self._tools = tools
        self._schemas = schemas
        self._held = ""
        self._found = False
        self._count = 0
        self._searched = 0

    def feed(self, text: str) -> Output:
        """As OutputParser.feed."""
        self._held += text
        if not self._found:
            content = self._before_tag()
            return Output(content=content) + (self.feed("") if self._found else Output())
        # A call ends with this tag, so nothing else needs another look at the whole text.
        if "</function>" not in self._held[max(0, self._searched - len("</function>")) :]:
            self._searched = len(self._held)
            return Output()
        return Output(tool_calls=self._calls())

    def finish(self) -> Output:
        """A rest that is no call is content only when there was no call at all."""
        rest, self._held = self._held, ""
        return Output() if self._count else Output(content=rest)

    def _before_tag(self) -> str:
        self._found = self._tag in self._held
        if self._found:
            content = self._held.partition(self._tag)[0]
        else:
            content = before_tag(self._held, self._tag)[0]
        self._held = self._held[len(content) :]
        return content

    def _calls(self) -> list[ToolCall]:
        calls = []
        at = 0
        while opening := _FUNCTION.search(self._held, at):
            arguments, end = self._arguments(opening)
            if end < 0:
                break
            at = end
            if opening[1] in self._tools:
                function = Function(index=self._count, name=opening[1], arguments=arguments)
                calls.append(tool_call(function))
                self._count += 1
                self._held, at = self._held[end:], 0
        self._searched = len(self._held)
        return calls

    def _arguments(self, opening: re.Match[str]) -> tuple[dict[str, Any], int]:
        """The arguments of the call that begins here and where it ends, -1 when not yet."""
        schema = self._schemas.get(opening[1])
        known = schema.get("properties") if isinstance(schema, Mapping) else None
        known = known if isinstance(known, Mapping) else {}
        arguments: dict[str, Any] = {}
        at = opening.end()
        while mark := _NEXT.search(self._held, at):
            if mark[1] is None:
                return arguments, mark.end()
            ending = _VALUE_END.search(self._held, mark.end())
            if ending is None:
                break
            text = self._held[mark.end() : ending.start()]
            arguments[mark[1]] = decode_value(text, known.get(mark[1]))
            at = ending.end()
        return arguments, -1
