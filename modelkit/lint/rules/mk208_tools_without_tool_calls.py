"""The template offers tools and cannot show their calls.

## What it does

Reports a TEMPLATE that uses .Tools and never .ToolCalls.

## Why is this bad

How calls look is told from the text around .ToolCalls. Without it, calls are not recognised in
an answer unless they are bare JSON, and the next turn hides that one was made.

## Example

```
FROM llama3.2
TEMPLATE {{ .Tools }}{{ range .Messages }}{{ .Role }}: {{ .Content }} {{ end }}
```

## Use instead

```
FROM llama3.2
TEMPLATE \"\"\"{{ .Tools }}
{{ range .Messages }}{{ .Role }}: {{ .Content }}
{{- if .ToolCalls }}<tool_call>
{{- range .ToolCalls }}{{ json .Function }}{{ end }}</tool_call>{{ end }}
{{ end }}\"\"\"
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Finding]:
    """Templates that take tools and do not show calls."""
    view = context.template
    if view and "tools" in view.names and "toolcalls" not in view.names:
        yield Finding(
            view.node.keyword_span,
            "the template uses .Tools and never .ToolCalls",
            "show the calls of earlier turns: {{ range .ToolCalls }}…{{ end }}",
        )
