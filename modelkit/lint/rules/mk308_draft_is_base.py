"""DRAFT is the same file as FROM.

## What it does

Reports a DRAFT that leads to the file or folder of a FROM.

## Why is this bad

A draft model guesses ahead of a larger one and has to be another, smaller model. The build
refuses it.

## Example

```
FROM ./weights.gguf
LICENSE MIT
DRAFT ./weights.gguf
```

## Use instead

```
FROM ./weights.gguf
LICENSE MIT
DRAFT ./small.gguf
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Finding]:
    """Drafts whose real path is that of a base."""
    bases = {
        path.resolve()
        for entry in context.document.all("model")
        if (path := context.path(entry.value)) is not None
    }
    for entry in context.document.all("draft"):
        path = context.path(entry.value)
        if path is not None and path.resolve() in bases:
            yield Finding(
                entry.node.value_span,
                "DRAFT is the same file as FROM",
                "DRAFT names a second, smaller model",
            )
