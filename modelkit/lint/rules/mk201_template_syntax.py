"""The template does not parse.

## What it does

Reports a TEMPLATE that Go's text/template refuses: an action that never closes, an unknown
function, an `end` too many, a variable that was not declared.

## Why is this bad

The model can be built, and every request to it fails.

## Example

```
FROM llama3.2
TEMPLATE {{ if .System }}{{ .System }} {{ .Prompt }}
```

## Use instead

```
FROM llama3.2
TEMPLATE {{ if .System }}{{ .System }} {{ end }}{{ .Prompt }}
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.errors import TemplateError
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Finding]:
    """What the template engine says; a Jinja template has a rule of its own."""
    view = context.template
    if view and not view.is_jinja and isinstance(view.parsed, TemplateError):
        error = view.parsed
        yield Finding(view.error_span(error), f"template: {error.message}", error.hint)
