"""Weights without a licence.

## What it does

Reports a Modelfile that imports weights from a file or folder and has no LICENSE.

## Why is this bad

A model that is built from another model takes its licence over. Weights from a file bring none,
and whoever pulls the model cannot know what is allowed.

## Example

```
FROM ./weights.gguf
```

## Use instead

```
FROM ./weights.gguf
LICENSE Apache-2.0
```

## Fix

None: which licence holds is not known.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Finding]:
    """FROM a file or folder, and no LICENSE anywhere."""
    document = context.document
    entry = document.last("model")
    unsure = bool(document.faults)
    if entry is None or unsure or any(item.value for item in document.all("license")):
        return
    if context.base and context.base.is_weights:
        yield Finding(
            entry.node.span,
            "the model has no licence: weights from a file bring none",
            "add LICENSE with the text, or a name such as Apache-2.0",
        )
