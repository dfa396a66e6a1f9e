"""The template cannot express the stored conversation.

## What it does

Renders the MESSAGE instructions, followed by a question, with the TEMPLATE, and reports
messages that are not in the prompt, or not in their order.

## Why is this bad

The example is lost, or stands in the wrong place.

## Example

```
FROM llama3.2
TEMPLATE \"\"\"{{ .System }}
{{ range .Messages }}{{ if ne .Role "system" }}{{ .Role }}: {{ .Content }}
{{ end }}{{ end }}\"\"\"
MESSAGE user Are you there?
MESSAGE assistant Yes.
MESSAGE system Be brief.
```

## Use instead

```
FROM llama3.2
TEMPLATE \"\"\"{{ .System }}
{{ range .Messages }}{{ if ne .Role "system" }}{{ .Role }}: {{ .Content }}
{{ end }}{{ end }}\"\"\"
SYSTEM Be brief.
MESSAGE user Are you there?
MESSAGE assistant Yes.
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity
from modelkit.lint.template import USER, ask, message

SEVERITY = Severity.WARNING

# Longer examples are cut: what a template does to ten turns it does to twenty.
_MOST = 40


def check(context: Context) -> Iterator[Finding]:
    """Messages by a text of their own, looked for in the prompt, in order."""
    view = context.template
    entries = [entry for entry in context.document.all("message") if entry.node.text][:_MOST]
    # Without any question there is no order to speak of; that is another rule's finding.
    if view is None or not entries or not view.shows(USER, *ask()):
        return
    texts = [f"mk-message-{number}-" for number in range(len(entries))]
    said = [message(entry.node.word, text) for entry, text in zip(entries, texts, strict=True)]
    prompt = view.renders(*said, *ask())
    if not isinstance(prompt, str):
        return
    place = 0
    for entry, text in zip(entries, texts, strict=True):
        found, elsewhere = prompt.find(text, place), text in prompt
        # Whether system texts show at all is another rule.
        if found < 0 and (elsewhere or entry.node.word != "system"):
            order = " here" if elsewhere else ""
            yield Finding(
                entry.node.span,
                f"the template does not show this message{order}",
                "let user and assistant take turns, and put system texts into SYSTEM",
            )
        place = max(place, found)
