"""The template leaves out the system text.

## What it does

Renders the TEMPLATE with a system text and reports when the file has a SYSTEM, or a MESSAGE of
the system, that is not in the prompt.

## Why is this bad

The model never sees the text.

## Example

```
FROM llama3.2
SYSTEM Be brief.
TEMPLATE {{ .Prompt }}
```

## Use instead

```
FROM llama3.2
SYSTEM Be brief.
TEMPLATE {{ .System }} {{ .Prompt }}
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity
from modelkit.lint.template import SYSTEM, instruct

SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Finding]:
    """System texts that are not shown."""
    said = [
        entry
        for entry in context.document.all("system", "message")
        if entry.name == "system" or entry.node.word == "system"
    ]
    view = context.template
    if not said or view is None or view.shows(SYSTEM, *instruct()):
        return
    for entry in said:
        if entry.value:
            yield Finding(
                entry.node.span,
                "the template does not show this text",
                "use {{ .System }} in the TEMPLATE",
            )
