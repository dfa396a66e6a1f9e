"""A value stands in quotes that are none.

## What it does

Reports values in single or typographic quotes.

## Why is this bad

Only " and \"\"\" are quotes in a Modelfile. All others become part of the value: a stop text in
single quotes never occurs.

## Example

```
FROM llama3.2
PARAMETER stop '<|end|>'
```

## Use instead

```
FROM llama3.2
PARAMETER stop "<|end|>"
```

## Fix

Safe, where the text holds no " of its own: puts " around it. The value loses the wrong quotes."""

import re
from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Edit, Finding, Fix, Severity

SEVERITY = Severity.WARNING

_WRONG = re.compile(
    r"('''|['\u2018\u201c\u201e\u00ab])(.*)('''|['\u2019\u201d\u201c\u00bb])", re.DOTALL
)


def check(context: Context) -> Iterator[Finding]:
    """Bare values that begin and end with a wrong quote."""
    for entry in context.document.entries:
        node = entry.node
        wrong = None if node.quote else _WRONG.fullmatch(node.text)
        if wrong is None:
            continue
        text = wrong[2]
        edit = Edit(node.value_span, f'"{text}"')
        yield Finding(
            node.value_span,
            f"{wrong[1]} is no quote here: it becomes part of the value",
            'use " for one line and """ for several',
            None if '"' in text else Fix('Use "', (edit,)),
        )
