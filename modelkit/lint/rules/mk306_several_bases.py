"""More than one FROM, and not all count.

## What it does

Reports a FROM with a model name that a later name replaces, and FROM with a file when another
FROM names a model.

## Why is this bad

Of several names the last one counts, and beside a name no files are used. Only files add up.

## Example

```
FROM llama3.2
FROM qwen3
```

## Use instead

```
FROM qwen3
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.compiler.sources import looks_like_path
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Finding]:
    """Bases without effect."""
    entries = context.document.all("model")
    if len(entries) < 2:
        return
    named = [
        entry
        for entry in entries
        if not looks_like_path(entry.value) and context.path(entry.value) is None
    ]
    for entry in entries:
        if named and entry is not named[-1]:
            yield Finding(
                entry.node.span,
                f"this FROM has no effect: the model is built from {named[-1].value}",
                "keep one FROM",
            )
