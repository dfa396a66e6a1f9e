"""num_ctx is larger than the context the model was trained with.

## What it does

Reports a num_ctx above the context length that the weights state. FROM has to be a GGUF file, a
checkpoint folder, or a model in the local store; otherwise nothing is checked.

## Why is this bad

The engine clamps the number, so prompts are cut earlier than the file promises.

## Example

```
FROM ./weights.gguf
LICENSE MIT
PARAMETER num_ctx 1000000
```

## Use instead

```
FROM ./weights.gguf
LICENSE MIT
PARAMETER num_ctx 2048
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Finding]:
    """The num_ctx that counts, against the base model."""
    found = context.numbers().get("num_ctx")
    trained = context.base.context_length if found and context.base else None
    if found is None or trained is None:
        return
    entry, value = found
    if value > trained:
        yield Finding(
            entry.node.value_span,
            f"num_ctx {entry.value} is more than the {trained} tokens the model was trained with",
            f"write {trained} or less",
        )
