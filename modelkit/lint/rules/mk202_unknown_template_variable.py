"""A template variable that does not exist.

## What it does

Reports fields in a TEMPLATE that no request fills, with the nearest one that exists.

## Why is this bad

A misspelled variable prints nothing, or makes every request fail, and the model never sees what
stands behind it. Names are case-sensitive.

## Example

```
FROM llama3.2
TEMPLATE {{ .System }} {{ .prompt }}
```

## Use instead

```
FROM llama3.2
TEMPLATE {{ .System }} {{ .Prompt }}
```

## Fix

Safe, where only the case is wrong: writes the name as it is known.
"""

from collections.abc import Iterator
from functools import cache
from itertools import islice

from modelkit.errors import TemplateError
from modelkit.grammar.errors import nearest
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Edit, Finding, Fix, Severity
from modelkit.lint.template import TemplateView
from modelkit.templates.go.tree import Chain, Field, Node, Variable

SEVERITY = Severity.ERROR

_ROOT = [
    "System",
    "Prompt",
    "Response",
    "Suffix",
    "Messages",
    "Tools",
    "Think",
    "ThinkLevel",
    "IsThinkSet",
]
_MOST = 100
# What a model or a caller names, not we.
_ANYTHING_BELOW = ("Arguments", "Properties")


@cache
def known_names() -> dict[str, str]:
    """Every name a template may use, by its lower-case form."""
    from modelkit.templates.messages import Function, Message, ToolCall
    from modelkit.templates.tools import Parameters, Property, Tool, ToolFunction

    names = list(_ROOT)
    for kind in (Message, ToolCall, Function, Tool, ToolFunction, Parameters, Property):
        names += kind.GO_FIELDS
    return {name.lower(): name for name in names}


def check(context: Context) -> Iterator[Finding]:
    """Fields whose name is not known."""
    view = context.template
    if view is None or view.is_jinja or isinstance(view.parsed, TemplateError):
        return
    found = (finding for node in view.parsed.tree.walk() for finding in _check(view, node))
    yield from islice(found, _MOST)


def _check(view: TemplateView, node: Node) -> Iterator[Finding]:
    # The fields of a chain stand behind its operand, which may hold fields of its own.
    place = node.operand.end if isinstance(node, Chain) else node.start
    for name in _names(node):
        place = view.source.find(f".{name}", place) + 1
        if name in _ANYTHING_BELOW:
            return
        known = known_names().get(name.lower())
        if known != name:
            span = view.span(place, place + len(name))
            fix = Fix(f"Write {known}", (Edit(span, known),)) if known else None
            yield Finding(span, f"no template variable is called .{name}", _hint(name), fix)


def _names(node: Node) -> list[str]:
    match node:
        case Field():
            return node.names
        case Variable() | Chain():
            return node.fields
    return []


def _hint(name: str) -> str:
    match = nearest(name.lower(), known_names())
    if match:
        return f"did you mean .{known_names()[match]}?"
    return f"at the top there are {', '.join(_ROOT)}"
