"""The value of a parameter has the wrong type.

## What it does

Reports a PARAMETER whose value is no whole number, no number, or neither true nor false, where
its option wants one.

## Why is this bad

The build refuses it.

## Example

```
FROM llama3.2
PARAMETER num_ctx 4k
```

## Use instead

```
FROM llama3.2
PARAMETER num_ctx 4096
```

## Fix

Safe, for a whole number that is written with a fraction of zeros: drops the fraction.
"""

import re
from collections.abc import Iterator

from modelkit.errors import UsageError
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Edit, Finding, Fix, Severity
from modelkit.lint.document import Entry
from modelkit.options import OPTIONS, parse_parameter

SEVERITY = Severity.ERROR

_WHOLE = re.compile(r"([+-]?[0-9]{1,18})\.0*")


def check(context: Context) -> Iterator[Finding]:
    """What the options table says to each value."""
    for entry in context.document.parameters():
        # A comment behind the value has a rule of its own.
        if entry.name not in OPTIONS or " #" in entry.value:
            continue
        try:
            parse_parameter(entry.name, entry.value)
        except UsageError as error:
            message = f"{entry.name}: {error.message}"
            span = entry.node.value_span if entry.node.written else entry.node.span
            yield Finding(span, message, error.hint, _fix(entry))


def _fix(entry: Entry) -> Fix | None:
    whole = _WHOLE.fullmatch(entry.value)
    if OPTIONS[entry.name].type != "int" or not whole:
        return None
    return Fix(f"Write {whole[1]}", (Edit(entry.node.value_span, whole[1]),))
