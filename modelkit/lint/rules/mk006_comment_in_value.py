"""A comment behind a value is part of the value.

## What it does

Reports a # behind a blank in the value of FROM, ADAPTER, DRAFT, RENDERER, PARSER, REQUIRES and
of every PARAMETER but stop.

## Why is this bad

A comment has a line of its own. Behind a value, # and what follows belong to the value, and the
build fails, or looks for a model of that name.

## Example

```
FROM llama3.2
PARAMETER temperature 0.7 # calm
```

## Use instead

```
FROM llama3.2
# calm
PARAMETER temperature 0.7
```

## Fix

Safe: moves the comment to the line above. The value loses it.
"""

import re
from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Edit, Finding, Fix, Severity
from modelkit.lint.document import Entry
from modelkit.syntax import Span

SEVERITY = Severity.ERROR

_PLAIN = ("model", "adapter", "draft", "renderer", "parser", "requires")
_COMMENT = re.compile(r"(?<!\s)\s+(#.*)")


def check(context: Context) -> Iterator[Finding]:
    """Comments inside values that hold no free text."""
    for entry in context.document.entries:
        plain = entry.name in _PLAIN or (entry.is_parameter and entry.name != "stop")
        comment = _COMMENT.search(entry.node.text) if plain and not entry.node.quote else None
        if comment:
            start = entry.node.text_start
            span = Span(start + comment.start(1), entry.node.span.end)
            cut = Span(start + comment.start(), entry.node.span.end)
            yield Finding(
                span,
                "this comment is part of the value",
                "give the comment a line of its own",
                _fix(context, entry, cut, comment[1]),
            )


def _fix(context: Context, entry: Entry, cut: Span, comment: str) -> Fix:
    start = context.document.line_start(entry.node.span.start)
    above = Edit(Span(start, start), f"{comment}{context.document.newline}")
    return Fix("Move the comment to the line above", (above, Edit(cut, "")))
