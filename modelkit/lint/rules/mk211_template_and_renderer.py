"""TEMPLATE beside RENDERER has no effect.

## What it does

Reports a TEMPLATE in a file that also has a RENDERER.

## Why is this bad

A renderer builds the prompt by itself, and the template is never used.

## Example

```
FROM llama3.2
RENDERER qwen3-coder
TEMPLATE {{ .Prompt }}
```

## Use instead

```
FROM llama3.2
RENDERER qwen3-coder
```

## Fix

None: which of the two was meant is not known.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Finding]:
    """Both at once."""
    renderer, view = context.document.last("renderer"), context.template
    if view and renderer and renderer.value:
        yield Finding(
            view.node.keyword_span,
            f"the template has no effect: RENDERER {renderer.value} builds the prompt",
            "keep one of the two",
        )
