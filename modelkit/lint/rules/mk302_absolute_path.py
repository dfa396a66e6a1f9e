"""An absolute path works on one machine only.

## What it does

Reports FROM, ADAPTER and DRAFT with a path from the root or from a home folder.

## Why is this bad

The file cannot be built by a colleague or in CI.

## Example

```
FROM llama3.2
ADAPTER /home/me/lora.gguf
```

## Use instead

```
FROM llama3.2
ADAPTER ./lora.gguf
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Finding]:
    """Paths that do not start in the folder of the Modelfile."""
    for entry in context.document.all("model", "adapter", "draft"):
        if entry.value.startswith(("/", "\\", "~")):
            yield Finding(
                entry.node.value_span,
                "an absolute path exists on one machine only",
                "put the file beside the Modelfile and write ./name",
            )
