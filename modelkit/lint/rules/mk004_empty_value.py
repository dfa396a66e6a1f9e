"""An instruction has no value.

## What it does

Reports instructions other than PARAMETER whose value is empty.

## Why is this bad

An empty SYSTEM, TEMPLATE or LICENSE does nothing: what the base model has stays. An empty FROM
means the folder of the Modelfile, which nobody reads out of it.

## Example

```
FROM llama3.2
SYSTEM ""
```

## Use instead

```
FROM llama3.2
```

## Fix

Safe, for SYSTEM, TEMPLATE, RENDERER and PARSER that stand once, and for LICENSE: removes the
line, which has no effect.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Edit, Finding, Fix, Severity
from modelkit.lint.document import Entry

SEVERITY = Severity.WARNING

_WITHOUT_EFFECT = ("system", "template", "renderer", "parser")


def check(context: Context) -> Iterator[Finding]:
    """Empty values."""
    for entry in context.document.entries:
        if entry.is_parameter or entry.node.text.strip():
            continue
        keyword = entry.node.keyword
        if keyword == "FROM":
            hint = "write FROM . for the folder of the Modelfile"
        elif keyword == "MESSAGE":
            hint = "write the text of the message"
        else:
            hint = f"give {keyword} a value or remove it"
        yield Finding(entry.node.span, f"{keyword} is empty", hint, _fix(context, entry))


def _fix(context: Context, entry: Entry) -> Fix | None:
    once = entry.name in _WITHOUT_EFFECT and len(context.document.all(entry.name)) == 1
    if entry.value or not (once or entry.name == "license"):
        return None
    edit = Edit(context.document.whole_lines(entry.node.span), "")
    return Fix("Remove the line", (edit,))
