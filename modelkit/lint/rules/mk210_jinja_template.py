"""A Jinja template stands where a Go template belongs.

## What it does

Reports a TEMPLATE with {% blocks %} or variables such as messages and bos_token.

## Why is this bad

TEMPLATE is Go's text/template. A chat template from Hugging Face is Jinja: it belongs into the
weights, where it is used when there is no TEMPLATE.

## Example

```
FROM llama3.2
TEMPLATE {% for message in messages %}{{ message.content }}{% endfor %}
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

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Finding]:
    """Templates by the marks of Jinja."""
    view = context.template
    if view and view.is_jinja:
        yield Finding(
            view.node.keyword_span,
            "this is a Jinja template; TEMPLATE takes a Go template",
            "remove it to use the one in the weights, or write {{ range .Messages }}…{{ end }}",
        )
