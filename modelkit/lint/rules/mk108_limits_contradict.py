"""Two limits do not go together.

## What it does

Reports num_keep that leaves no room in num_ctx, and num_predict above num_ctx.

## Why is this bad

When the context is full, num_keep tokens stay and the rest is shifted out: with num_keep as
large as num_ctx nothing can be. An answer longer than the context forgets its question.

## Example

```
FROM llama3.2
PARAMETER num_ctx 2048
PARAMETER num_keep 4096
```

## Use instead

```
FROM llama3.2
PARAMETER num_ctx 2048
PARAMETER num_keep 24
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Finding]:
    """The limits that count, against each other."""
    numbers = context.numbers()
    if "num_ctx" not in numbers:
        return
    room, (keep, predict) = numbers["num_ctx"][1], map(numbers.get, ("num_keep", "num_predict"))
    if keep and keep[1] >= room:
        yield Finding(
            keep[0].node.value_span,
            f"num_keep {keep[1]} leaves no room in a context of {room} tokens",
            "keep the few tokens of the system text",
        )
    if predict and predict[1] > room:
        yield Finding(
            predict[0].node.value_span,
            f"num_predict {predict[1]} is more than the context of {room} tokens",
            "raise num_ctx or lower num_predict",
        )
