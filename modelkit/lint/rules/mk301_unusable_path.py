"""A path leads to nothing that can be used.

## What it does

Reports FROM, ADAPTER and DRAFT with a path where there is nothing, or a folder without weights.

## Why is this bad

The build fails. ADAPTER and DRAFT take paths only, never the name of a model.

## Example

```
FROM llama3.2
ADAPTER ./missing.gguf
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

from modelkit.compiler.sources import exists, expand_path, looks_like_path, model_files
from modelkit.errors import ModelkitError
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity
from modelkit.lint.document import Entry

SEVERITY = Severity.ERROR

# Each may list a whole folder; no model has this many.
_MOST = 50


def check(context: Context) -> Iterator[Finding]:
    """Paths, as the compiler would follow them."""
    for entry in context.document.all("model", "adapter", "draft")[:_MOST]:
        try:
            _follow(entry, context)
        except ModelkitError as error:
            yield Finding(entry.node.value_span, error.message, error.hint)
        except (OSError, ValueError) as error:
            yield Finding(entry.node.value_span, f"no usable path: {error}")


def _follow(entry: Entry, context: Context) -> None:
    path = expand_path(entry.value, context.folder)
    if exists(path):
        model_files(path, adapter=entry.name == "adapter")
    elif entry.name != "model":
        raise ModelkitError(
            f"no such file or folder: {entry.value}",
            hint=f"{entry.node.keyword} takes a path, never the name of a model",
        )
    elif looks_like_path(entry.value):
        raise ModelkitError(
            f"no such file or folder: {entry.value}",
            hint="a relative path starts in the folder of the Modelfile",
        )
