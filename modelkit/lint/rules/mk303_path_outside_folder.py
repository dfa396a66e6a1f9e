"""A relative path leaves the folder of the Modelfile.

## What it does

Reports FROM, ADAPTER and DRAFT with a path that leads out of the folder of the Modelfile.

## Why is this bad

Whoever gets the folder does not get that file.

## Example

```
FROM llama3.2
ADAPTER ../lora.gguf
```

## Use instead

```
FROM llama3.2
ADAPTER ./lora.gguf
```

## Fix

None.
"""

import os.path
from collections.abc import Iterator

from modelkit.compiler.sources import looks_like_path
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Finding]:
    """Relative paths that begin with .. once they are shortened."""
    for entry in context.document.all("model", "adapter", "draft"):
        value = entry.value
        is_path = entry.name != "model" or looks_like_path(value) or context.path(value)
        if not is_path or value.startswith(("/", "\\", "~")):
            continue
        if os.path.normpath(value).split("/")[0] == "..":
            yield Finding(
                entry.node.value_span,
                "the path leaves the folder of the Modelfile",
                "put the file into the folder, so that both travel together",
            )
