"""A parameter that has no effect any more.

## What it does

Reports parameters that are accepted for the sake of old files and dropped.

## Why is this bad

The line promises something that does not happen, and every build warns about it.

## Example

```
FROM llama3.2
PARAMETER mirostat 2
```

## Use instead

```
FROM llama3.2
PARAMETER temperature 0.7
```

## Fix

Safe: removes the line.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Edit, Finding, Fix, Severity
from modelkit.options import DEPRECATED

SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Finding]:
    """Names in the list of deprecated ones."""
    for entry in context.document.parameters():
        if entry.name in DEPRECATED:
            edit = Edit(context.document.whole_lines(entry.node.span), "")
            yield Finding(
                entry.node.word_span or entry.node.span,
                f"parameter {entry.name} is deprecated and has no effect",
                "remove the line",
                Fix("Remove the line", (edit,)),
            )
