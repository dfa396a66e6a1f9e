"""The name of a file stands where its text belongs.

## What it does

Reports LICENSE, SYSTEM and TEMPLATE whose value is the name of a file.

## Why is this bad

These instructions take the text itself. The model would have the words ./LICENSE as its
licence, or as its whole prompt.

## Example

```
FROM llama3.2
LICENSE ./LICENSE.txt
```

## Use instead

```
FROM llama3.2
LICENSE Apache-2.0
```

## Fix

None.
"""

import re
from collections.abc import Iterator

from modelkit.compiler.sources import looks_like_path
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.WARNING

_LONGEST = 255
_TEXT_FILE = re.compile(r"\S+\.(txt|md|rst|tmpl|gotmpl|template|jinja|jinja2|j2)", re.IGNORECASE)


def check(context: Context) -> Iterator[Finding]:
    """Texts of one word that are, or look like, a path."""
    for entry in context.document.all("license", "system", "template"):
        value = entry.value
        if not value or len(value) > _LONGEST or re.search(r"\s|\{\{", value):
            continue
        if looks_like_path(value) or _TEXT_FILE.fullmatch(value) or context.path(value):
            keyword = entry.node.keyword
            yield Finding(
                entry.node.value_span,
                f"{keyword} takes the text itself, not the name of a file",
                'put the text of the file between """ and """',
            )
