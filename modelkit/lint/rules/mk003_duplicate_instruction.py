"""An instruction that counts once stands several times.

## What it does

Reports every TEMPLATE, SYSTEM, RENDERER, PARSER, REQUIRES and ADAPTER but the last of its kind.

## Why is this bad

Only the last one counts; the others have no effect. Often a SYSTEM text was meant to have two
parts.

## Example

```
FROM llama3.2
SYSTEM Be brief.
SYSTEM Be polite.
```

## Use instead

```
FROM llama3.2
SYSTEM Be brief. Be polite.
```

## Fix

Safe, where both have the same value: removes the first. Otherwise none.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Edit, Finding, Fix, Severity

SEVERITY = Severity.WARNING

_ONCE = ("template", "system", "renderer", "parser", "requires", "adapter")


def check(context: Context) -> Iterator[Finding]:
    """Instructions that a later one replaces."""
    document = context.document
    for name in _ONCE:
        entries = document.all(name)
        for entry in entries[:-1]:
            last = entries[-1]
            keyword = entry.node.keyword
            line = document.position(last.node.span.start).line
            edit = Edit(document.whole_lines(entry.node.span), "")
            same = entry.value == last.value
            yield Finding(
                entry.node.keyword_span,
                f"this {keyword} has no effect: the one in line {line} replaces it",
                f"keep one {keyword}",
                Fix(f"Remove this {keyword}", (edit,)) if same else None,
            )
