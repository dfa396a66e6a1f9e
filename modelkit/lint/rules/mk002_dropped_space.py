"""A space that is not kept: no-break, ideographic and the like.

## What it does

Reports Unicode spaces other than the plain one in a value without quotes.

## Why is this bad

Such spaces come along when text is copied from a web page. They look like spaces, but they are
dropped from the value, as the reference implementation does, and words run together.

## Example

```
FROM llama3.2
SYSTEM Be\u00a0brief.
```

## Use instead

```
FROM llama3.2
SYSTEM Be brief.
```

## Fix

Safe: puts a plain space in its place, which is what the line looks like.
"""

import re
from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Edit, Finding, Fix, Severity
from modelkit.modelfile import dropped_space
from modelkit.syntax import Span

SEVERITY = Severity.WARNING

_ODD_SPACES = re.compile(r"[^\S \t\r\n]+")


def check(context: Context) -> Iterator[Finding]:
    """Runs of odd spaces in bare values."""
    for entry in context.document.entries:
        if not dropped_space(entry.node):
            continue
        for odd in _ODD_SPACES.finditer(entry.node.text):
            start = entry.node.text_start
            span = Span(start + odd.start(), start + odd.end())
            yield Finding(
                span,
                f"U+{ord(odd[0][0]):04X}, a kind of space, is dropped from the value",
                "type a plain space, or put the value in quotes to keep it",
                Fix("Use a plain space", (Edit(span, " " * len(odd[0])),)),
            )
