"""The template leaves out what the user says.

## What it does

Renders the TEMPLATE with a question, and with a conversation, and reports when the last message
of the user is not in the prompt.

## Why is this bad

The model answers to nothing.

## Example

```
FROM llama3.2
TEMPLATE <|system|>{{ .System }}<|assistant|>{{ .Response }}
```

## Use instead

```
FROM llama3.2
TEMPLATE <|system|>{{ .System }}<|user|>{{ .Prompt }}<|assistant|>{{ .Response }}
PARAMETER stop <|user|>
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity
from modelkit.lint.template import SECOND, USER, ask, converse

SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Finding]:
    """The last question, alone and after a turn."""
    view = context.template
    if view is None:
        return
    hint = "use {{ .Prompt }}, or {{ .Content }} in a range over .Messages"
    if not view.shows(USER, *ask()):
        message = "the template does not show what the user says"
    elif not view.shows(SECOND, *converse()):
        message = "the template does not show what the user says after the first turn"
    else:
        return
    yield Finding(view.node.keyword_span, message, hint)
