"""The template leaves out the results of tools.

## What it does

Renders the TEMPLATE, if it knows tools, with the call of a tool and its result, and reports
when the result is not in the prompt.

## Why is this bad

The model calls the tool again and again, or makes the result up.

## Example

```
FROM llama3.2
TEMPLATE \"\"\"{{ .Tools }}
{{ range .Messages }}{{ if eq .Role "user" }}{{ .Content }}
{{ else }}{{ range .ToolCalls }}{{ json .Function }}{{ end }}{{ end }}{{ end }}\"\"\"
```

## Use instead

```
FROM llama3.2
TEMPLATE \"\"\"{{ .Tools }}
{{ range .Messages }}{{ .Content }}
{{ range .ToolCalls }}{{ json .Function }}{{ end }}{{ end }}\"\"\"
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity
from modelkit.lint.template import RESULT, call

SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Finding]:
    """The result of a sample call."""
    view = context.template
    if view is None or not {"tools", "toolcalls"} <= view.names:
        return
    if not view.shows(RESULT, *call(), tools=True):
        yield Finding(
            view.node.keyword_span,
            "the template does not show what a tool answered",
            'show .Content of messages with the role "tool"',
        )
