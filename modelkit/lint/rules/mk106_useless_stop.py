"""A stop text that can never end an answer.

## What it does

Reports an empty stop text, and one that holds another stop text.

## Why is this bad

Where the longer text would match, the shorter one has matched already. An empty text marks no
place at all.

## Example

```
FROM llama3.2
PARAMETER stop "<|end|>"
PARAMETER stop "<|end|><|user|>"
```

## Use instead

```
FROM llama3.2
PARAMETER stop "<|end|>"
```

## Fix

Safe, for the longer text: removes the line.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Edit, Finding, Fix, Severity

SEVERITY = Severity.WARNING

# Every pair is compared; no model has this many.
_MOST = 200


def check(context: Context) -> Iterator[Finding]:
    """Stop texts that are empty or that another one is part of."""
    stops = context.document.all("stop")
    shorter = sorted({entry.value for entry in stops if entry.value}, key=len)[:_MOST]
    for entry in stops[:_MOST]:
        if not entry.value:
            yield Finding(entry.node.span, "the stop text is empty", "write the text or remove it")
            continue
        inner = next((text for text in shorter if text != entry.value and text in entry.value), "")
        if inner:
            edit = Edit(context.document.whole_lines(entry.node.span), "")
            yield Finding(
                entry.node.value_span,
                f"the stop text {inner!r} always matches before this one",
                "remove the longer one",
                Fix("Remove the line", (edit,)),
            )
