"""FROM is neither a path nor the name of a model.

## What it does

Reports a FROM whose value is no valid model name and where no file of that name exists.

## Why is this bad

The build fails.

## Example

```
FROM my model
```

## Use instead

```
FROM my-model
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.compiler.sources import looks_like_path
from modelkit.errors import InvalidName
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity
from modelkit.names import ModelName

SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Finding]:
    """Names that do not parse."""
    for entry in context.document.all("model"):
        if looks_like_path(entry.value) or context.path(entry.value):
            continue
        try:
            ModelName.parse(entry.value)
        except InvalidName as error:
            yield Finding(entry.node.value_span, error.message, error.hint)
