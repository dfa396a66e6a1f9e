r"""A backslash escape is taken literally.

## What it does

Reports \n, \t, \r and \" in a stop text, and \" or a \n that no letter follows in SYSTEM and
MESSAGE.

## Why is this bad

Modelfile values have no escapes: \n is a backslash and an n. A stop text with one never occurs
in what a model writes, and a SYSTEM text shows the backslash to the model.

## Example

```
FROM llama3.2
PARAMETER stop "\nUser:"
```

## Use instead

```
FROM llama3.2
PARAMETER stop "
User:"
```

## Fix

None: whether the text was meant as it stands is not known.
"""

import re
from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity
from modelkit.lint.document import Entry
from modelkit.syntax import Span

SEVERITY = Severity.WARNING

_IN_STOP = re.compile(r'\\[ntr"]')
_IN_TEXT = re.compile(r'\\(?:n(?![A-Za-z])|")')


def check(context: Context) -> Iterator[Finding]:
    """The first escape in each value."""
    for entry in context.document.entries:
        pattern = _pattern(entry)
        escape = pattern.search(entry.node.text) if pattern else None
        if escape:
            start = entry.node.text_start + escape.start()
            yield Finding(
                Span(start, start + len(escape[0])),
                f"{escape[0]} is taken literally: values have no escapes",
                'write the character itself; a value in """ may have several lines',
            )


def _pattern(entry: Entry) -> re.Pattern[str] | None:
    if entry.name == "stop":
        return _IN_STOP
    return _IN_TEXT if entry.name in ("system", "message") else None
