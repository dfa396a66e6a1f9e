"""FROM names a model that can change. Only with --locked.

## What it does

Reports every FROM that is a model name. It runs with --locked, or `locked = true` in the
settings.

## Why is this bad

A tag can be pushed again: the same Modelfile then builds another model. A file beside the
Modelfile changes only with the repository.

## Example

```
FROM llama3.2
```

## Use instead

```
FROM ./weights.gguf
LICENSE MIT
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.compiler.sources import looks_like_path
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Finding]:
    """Model names, when the build is to be locked."""
    if not context.locked:
        return
    for entry in context.document.all("model"):
        if entry.value and not looks_like_path(entry.value) and not context.path(entry.value):
            yield Finding(
                entry.node.value_span,
                f"{entry.value} can mean another model tomorrow",
                "build from a file that is versioned with the Modelfile",
            )
