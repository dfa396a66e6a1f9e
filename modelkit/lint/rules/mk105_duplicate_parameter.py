"""A parameter stands several times.

## What it does

Reports every PARAMETER but the last of its name, and a stop text that was given before.

## Why is this bad

Only the last value counts. stop alone collects its values; the same text twice adds nothing.

## Example

```
FROM llama3.2
PARAMETER top_k 20
PARAMETER top_k 40
```

## Use instead

```
FROM llama3.2
PARAMETER top_k 40
```

## Fix

Safe, where both have the same value: removes one. Otherwise none.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Edit, Finding, Fix, Severity
from modelkit.lint.document import Document, Entry
from modelkit.options import OPTIONS

SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Finding]:
    """Parameters that a later one replaces, and stop texts that repeat one."""
    document = context.document
    later: dict[str, Entry] = {}
    for entry in reversed(document.parameters()):
        option = OPTIONS.get(entry.name)
        if option is None:
            continue
        collects = option.type == "strings"
        key = f"{entry.name} {entry.value}" if collects else entry.name
        last = later.setdefault(key, entry)
        if last is entry:
            continue
        line = document.position(last.node.span.start).line
        message = f"this {entry.name} has no effect: the one in line {line} replaces it"
        if collects:
            message = f"this {entry.name} stands again in line {line}"
        fix = _removal(document, entry) if entry.value == last.value else None
        yield Finding(entry.node.span, message, f"keep one {entry.name}", fix)


def _removal(document: Document, entry: Entry) -> Fix:
    return Fix("Remove the line", (Edit(document.whole_lines(entry.node.span), ""),))
