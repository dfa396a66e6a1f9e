"""The file does not parse.

## What it does

Reports every line that is no instruction, every quote that never closes, and a file without
FROM. Such a line is skipped and the rest is checked. This rule cannot be turned off.

## Why is this bad

Nothing can be built from such a file.

## Example

```
FROM llama3.2
PARAMTER temperature 0.7
```

## Use instead

```
FROM llama3.2
PARAMETER temperature 0.7
```

## Fix

None: what was meant is not known.
"""

import re
from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity
from modelkit.syntax import Span

SEVERITY = Severity.ERROR

_COUNTED_LINE = re.compile(r"^\(line \d+\): ")
_WORD = re.compile(r"[^ \t\r\n]*")


def check(context: Context) -> Iterator[Finding]:
    """The faults that the parser found."""
    for fault in context.document.faults:
        word = _WORD.match(context.document.source, fault.offset)
        span = Span(fault.offset, word.end() if word else fault.offset)
        yield Finding(span, _COUNTED_LINE.sub("", fault.message), fault.hint)
