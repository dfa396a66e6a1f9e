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

Safe, where the text holds no quotes of its own: puts " around it. The value loses the wrong
quotes.
"""

import re
from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Edit, Finding, Fix, Severity

SEVERITY = Severity.WARNING

_WRONG = re.compile(
    r"(?P<open>''')(?P<text>.*)'''|(?P<mark>['\u2018\u201c\u201e\u00ab])(?P<rest>.*)['\u2019\u201d\u201c\u00bb]"
)
# In 'a' and 'b', the outer quotes do not belong together.
_SEVERAL = re.compile(r"'\W|\W'")


def check(context: Context) -> Iterator[Finding]:
    """Bare values that begin and end with a wrong quote."""
    for entry in context.document.entries:
        node = entry.node
        wrong = None if node.quote else _WRONG.fullmatch(node.text)
        if wrong is None or _SEVERAL.search(wrong["rest"] or ""):
            continue
        text = wrong["text"] or wrong["rest"] or ""
        edit = Edit(node.value_span, f'"{text}"')
        yield Finding(
            node.value_span,
            f"{wrong['open'] or wrong['mark']} is no quote here: it becomes part of the value",
            'use " for one line and """ for several',
            None if '"' in text or "'" in text else Fix('Use "', (edit,)),
        )
