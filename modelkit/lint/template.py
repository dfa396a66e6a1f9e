"""The TEMPLATE of a Modelfile under check: its tree, and what it makes of sample conversations."""

import re
from functools import cached_property
from typing import TYPE_CHECKING

from modelkit.errors import TemplateError
from modelkit.grammar.positions import Lines
from modelkit.syntax import Instruction, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelkit.templates import GoTemplate
    from modelkit.templates.messages import Message
    from modelkit.templates.prompt import PromptTemplate
    from modelkit.templates.tools import Tool

# Real templates have a few thousand characters. A larger one is parsed and not rendered.
MAX_RENDERED = 16_000
_STEPS = 20_000

# What the sample conversations say; words that no template holds.
SYSTEM, USER, ANSWER, SECOND, RESULT = (f"mk-sample-{n}" for n in range(5))
TOOL = "mk_sample_tool"

_JINJA = re.compile(r"\{%[-+ ]|\{\{-?\s*(messages|message|bos_token|eos_token)\b")


class TemplateView:
    """One TEMPLATE; offsets in its tree count from `start` in the file."""

    def __init__(self, node: Instruction) -> None:
        self.node = node
        self.source = node.text
        self.start = node.text_start
        self.is_jinja = bool(_JINJA.search(self.source))

    @cached_property
    def parsed(self) -> "GoTemplate | TemplateError":
        """The template, or why it does not parse."""
        from modelkit.templates import GoTemplate

        try:
            template = GoTemplate(self.source)
            template.identifiers()
        except TemplateError as error:
            return error
        return template

    @cached_property
    def names(self) -> set[str]:
        """The names of fields and variables in lower case; none if it does not parse."""
        return set() if isinstance(self.parsed, TemplateError) else self.parsed.identifiers()

    def span(self, start: int, end: int) -> Span:
        """A place of the template as a place of the file."""
        return Span(self.start + start, self.start + end)

    def error_span(self, error: TemplateError) -> Span:
        """Where a template fails; the whole template when nobody knows."""
        if not error.line:
            return self.node.keyword_span
        start = Lines(self.source).offset(error.line, error.column)
        return self.span(start, start)

    def renders(self, *messages: "Message", tools: bool = False) -> "str | TemplateError | None":
        """The prompt of a conversation, or why there is none.

        None for a template that cannot be asked: it does not parse, is too large, or does so much
        work for a single question that no more is tried.
        """
        if self._prompts is None:
            return None
        try:
            return self._prompts.render(messages, tools=_sample_tools() if tools else ())
        except TemplateError as error:
            return error

    def shows(self, text: str, *messages: "Message", tools: bool = False) -> bool:
        """Whether the prompt holds a text; also true when nothing can be said."""
        prompt = self.renders(*messages, tools=tools)
        return not isinstance(prompt, str) or text in prompt

    @cached_property
    def overload(self) -> TemplateError | None:
        """That a single question is too much work already."""
        if isinstance(self.parsed, TemplateError) or len(self.source) > MAX_RENDERED:
            return None
        from modelkit.templates.go.state import Limits

        messages: Sequence[Message] = ask()
        data = {"Prompt": USER, "System": "", "Messages": list(messages), "Tools": []}
        try:
            self.parsed.render(data, limits=Limits(steps=_STEPS, output=_STEPS * 10))
        except TemplateError as error:
            return error
        return None

    @cached_property
    def _prompts(self) -> "PromptTemplate | None":
        from modelkit.templates.prompt import PromptTemplate

        unfit = isinstance(self.parsed, TemplateError) or len(self.source) > MAX_RENDERED
        if unfit or self.is_jinja or self.overload:
            return None
        try:
            return PromptTemplate(self.source)
        except TemplateError:
            return None


def message(role: str, content: str) -> "Message":
    """One turn."""
    from modelkit.templates.messages import Message

    return Message(role=role, content=content)


def ask() -> "list[Message]":
    """A question."""
    return [message("user", USER)]


def instruct() -> "list[Message]":
    """A system text and a question."""
    return [message("system", SYSTEM), message("user", USER)]


def converse() -> "list[Message]":
    """A question, its answer, and a second question."""
    return [message("user", USER), message("assistant", ANSWER), message("user", SECOND)]


def call() -> "list[Message]":
    """A question, the call of a tool, and its result."""
    from modelkit.templates.messages import Function, Message, ToolCall

    calls = [ToolCall(id="call_1", function=Function(name=TOOL, arguments={"city": "Rome"}))]
    asked = Message(role="assistant", tool_calls=calls)
    result = Message(role="tool", content=RESULT, tool_name=TOOL, tool_call_id="call_1")
    return [message("user", USER), asked, result]


def _sample_tools() -> "list[Tool]":
    from modelkit.templates.tools import Tools

    city = {"type": "string", "description": "A city"}
    parameters = {"type": "object", "required": ["city"], "properties": {"city": city}}
    function = {"name": TOOL, "description": "The weather", "parameters": parameters}
    return Tools.of([{"type": "function", "function": function}])
