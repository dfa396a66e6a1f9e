"""What a template can do, told from its text: capabilities, tags, and which of two to use."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from modelkit.templates import GoTemplate, TemplateError
from modelkit.templates.go.tree import (
    Action,
    Body,
    Comment,
    Define,
    Field,
    If,
    Node,
    Range,
    TemplateCall,
    Text,
    With,
)

_SPLITS_THINKING = re.compile(r"""split\(\s*['"]</think>['"]""")
_COMPARES_TOOL = re.compile(r"""role['"]?\]?\s*==\s*['"]tool['"]""")
_GO_TOOL_RESULTS = ('eq .Role "tool"', "tool_response", "TOOL_RESULTS")
_JINJA_TOOL_RESULTS = ("tool_response", "tool_results", "ipython")


@dataclass(frozen=True)
class Traits:
    """What a template shows; a round trip is tools, their calls in history, and their results."""

    tools: bool = False
    insert: bool = False
    thinking: bool = False
    round_trip: bool = False

    @property
    def capabilities(self) -> list[str]:
        """The names of what is there, in the API's order."""
        return [name for name in ("tools", "insert", "thinking") if getattr(self, name)]

    @property
    def compared(self) -> set[str]:
        """What counts when a Go template and a Jinja template compete."""
        return {"tools", "thinking"} & set(self.capabilities)


@lru_cache(maxsize=256)
def go_traits(source: str) -> Traits:
    """What a Go template shows; nothing if it does not parse."""
    try:
        template = GoTemplate(source)
        names = template.identifiers()
    except TemplateError:
        return Traits()
    answers = any(mark in source for mark in _GO_TOOL_RESULTS)
    return Traits(
        tools="tools" in names,
        insert="suffix" in names,
        thinking=think_tags(template) is not None,
        round_trip={"tools", "toolcalls"} <= names and answers,
    )


@lru_cache(maxsize=256)
def jinja_traits(source: str) -> Traits:
    """What a Jinja chat template shows; it is searched, not compiled."""
    tools = "tools" in source or "tool_call" in source
    calls = "tool_calls" in source or "assistant_tool_call" in source
    answers = any(mark in source for mark in _JINJA_TOOL_RESULTS)
    answers = answers or bool(_COMPARES_TOOL.search(source))
    elsewhere = "reasoning_content" in source or "<SPECIAL_12>" in source
    splits = bool(_SPLITS_THINKING.search(source)) and not elsewhere
    return Traits(
        tools=tools,
        thinking=splits or ("<think>" in source and "</think>" in source),
        round_trip=tools and calls and answers,
    )


def prefers_jinja(go: Traits, jinja: Traits) -> bool:
    """Whether the GGUF's own template serves a model better than its TEMPLATE does."""
    if len(jinja.compared) > len(go.compared):
        return jinja.round_trip or not go.round_trip
    return jinja.compared == go.compared and go.tools and jinja.round_trip and not go.round_trip


def think_tags(template: GoTemplate) -> tuple[str, str] | None:
    """The texts around `.Thinking` in the loop over `.Messages`: `("<think>", "</think>")`."""
    opening = closing = ""
    known: dict[int, tuple[str | None, str | None]] = {}
    for body in _around_thinking(template.tree, None, in_messages=False):
        if id(body) not in known:
            known[id(body)] = _edges(body)
        first, last = known[id(body)]
        opening = opening if first is None else first
        closing = closing if last is None else last
    return (opening, closing) if opening and closing else None


def _edges(body: Body) -> tuple[str | None, str | None]:
    """The texts a body begins and ends with, trimmed; what leaves no trace in Go's tree aside."""
    items = [item for item in body.items if not isinstance(item, Comment | Define)]
    items = [item for item in items if not isinstance(item, Text) or item.text]
    ends = (items[0], items[-1])
    first, last = (item.text.strip() if isinstance(item, Text) else None for item in ends)
    return first, last


def _around_thinking(node: Node, body: Body | None, *, in_messages: bool) -> Iterator[Body]:
    """The innermost body around each `.Thinking` whose innermost loop is over `.Messages`."""
    if isinstance(node, Field) and node.names[0] == "Thinking" and in_messages and body:
        yield body
    if isinstance(node, Range):
        in_messages = any(names[0] == "Messages" for names in _fields(node.pipeline))
    for child in node.children():
        yield from _around_thinking(child, _innermost(node, child, body), in_messages=in_messages)


def _innermost(node: Node, child: Node, body: Body | None) -> Body | None:
    """The body that `child` stands in; in Go the condition of an `else if` has one without text."""
    if isinstance(node, If | With) and child is not node.branches[0]:
        return None
    return node if isinstance(node, Body) else body


def tool_tag(template: GoTemplate) -> str:
    """What a model writes before a tool call: `<tool_call>`, `[TOOL_CALLS] [`; else `{`."""
    body = next(_for_calls(template.tree), None)
    text = _first_text(body.items) if body else None
    return (text or "").replace("\r\n", "\n").split("{")[0].strip() or "{"


def _for_calls(body: Body) -> Iterator[Body]:
    """The bodies of `if` branches whose condition mentions `.ToolCalls`, depth first."""
    for item in body.items:
        if isinstance(item, If | With):
            for branch in item.branches:
                fields = _fields(branch.pipeline) if isinstance(item, If) else ()
                if any("ToolCalls" in names for names in fields):
                    yield branch.body
                yield from _for_calls(branch.body)
        elif isinstance(item, Range):
            yield from _for_calls(item.body)
        if isinstance(item, If | With | Range) and item.otherwise:
            yield from _for_calls(item.otherwise)


def _first_text(items: list[Node]) -> str | None:
    """The first text that is not blank, before anything is printed."""
    for item in items:
        if isinstance(item, Text) and item.text.strip():
            return item.text
        if isinstance(item, Action | TemplateCall):
            return None
        if isinstance(item, If | With):
            bodies = [branch.body for branch in item.branches]
            return _first_of([*bodies, item.otherwise])
        if isinstance(item, Range):
            return _first_of([item.body, item.otherwise])
    return None


def _first_of(bodies: list[Body | None]) -> str | None:
    texts = (_first_text(body.items) for body in bodies if body)
    return next((text for text in texts if text), None)


def _fields(node: Node) -> Iterator[list[str]]:
    return (inner.names for inner in node.walk() if isinstance(inner, Field))
