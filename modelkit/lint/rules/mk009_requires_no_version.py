"""REQUIRES is no version.

## What it does

Reports a REQUIRES whose value is not a semantic version such as 0.14.0.

## Why is this bad

The build refuses it.

## Example

```
FROM llama3.2
REQUIRES >=0.14
```

## Use instead

```
FROM llama3.2
REQUIRES 0.14.0
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.compiler.recipe import Recipe
from modelkit.errors import ModelfileError
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity
from modelkit.modelfile import Command, Modelfile

SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Finding]:
    """What the compiler says to each REQUIRES."""
    for entry in context.document.all("requires"):
        if not entry.value:
            continue
        try:
            Recipe.from_modelfile(Modelfile((Command("requires", entry.value),)), context.folder)
        except ModelfileError as error:
            yield Finding(entry.node.value_span, error.message, error.hint)
