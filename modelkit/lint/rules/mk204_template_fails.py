"""The template fails when it is rendered.

## What it does

Renders the TEMPLATE with sample conversations and reports errors: an index out of range, a
field of a text, a comparison of unlike things, a loop that is too much work.

## Why is this bad

Every request of that shape fails.

## Example

```
FROM llama3.2
TEMPLATE {{ (index .Messages 1).Content }} {{ .Prompt }}
```

## Use instead

```
FROM llama3.2
TEMPLATE {{ range .Messages }}{{ .Content }}{{ end }}
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.errors import TemplateError
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity
from modelkit.lint.template import TemplateView, ask, call, converse, instruct

SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Finding]:
    """The first sample conversation that fails."""
    view = context.template
    if view is None or view.is_jinja:
        return
    failure = ("a question", view.overload) if view.overload else next(_failures(view), None)
    if failure:
        what, error = failure
        yield Finding(view.error_span(error), f"{what} fails: {error.message}", error.hint)


def _failures(view: TemplateView) -> Iterator[tuple[str, TemplateError]]:
    samples = (
        ("a question", ask()),
        ("a system text", instruct()),
        ("a conversation", converse()),
        ("the result of a tool", call()),
    )
    for what, messages in samples:
        result = view.renders(*messages, tools=what == "the result of a tool")
        if isinstance(result, TemplateError):
            yield what, result
