"""A parameter that does not exist.

## What it does

Reports a PARAMETER whose name is not known, with the nearest name that is.

## Why is this bad

The build refuses it. Names are case-sensitive, and exactly one blank stands before them.

## Example

```
FROM llama3.2
PARAMETER temprature 0.7
```

## Use instead

```
FROM llama3.2
PARAMETER temperature 0.7
```

## Fix

Safe, where only case or blanks are wrong: writes the name as it is known.
"""

from collections.abc import Iterator

from modelkit.errors import UsageError
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Edit, Finding, Fix, Severity
from modelkit.lint.document import Entry
from modelkit.options import DEPRECATED, OPTIONS, parse_parameter
from modelkit.syntax import Span

SEVERITY = Severity.ERROR

# Once options of the engine; nothing takes their place.
_GONE = frozenset(
    {"embedding_only", "numa", "num_gqa", "rope_frequency_base", "rope_frequency_scale", "tfs_z"}
)


def check(context: Context) -> Iterator[Finding]:
    """Names that are neither options nor deprecated ones."""
    for entry in context.document.parameters():
        if entry.name in OPTIONS or entry.name in DEPRECATED:
            continue
        span = entry.node.word_span or entry.node.span
        if not entry.name:
            message = "the parameter has no name"
            hint: str | None = "exactly one blank stands between PARAMETER and the name"
            yield Finding(span, message, hint, _without_blanks(entry))
        else:
            message, hint = _explain(entry.name)
            yield Finding(span, message, hint, _in_lower_case(entry.name, span))


def _explain(name: str) -> tuple[str, str | None]:
    if name in _GONE:
        return f"parameter {name} does not exist any more", "remove it"
    try:
        parse_parameter(name, "")
    except UsageError as error:
        return error.message, error.hint
    return f"unknown parameter '{name}'", None


def _in_lower_case(name: str, span: Span) -> Fix | None:
    lower = name.lower()
    return Fix(f"Write {lower}", (Edit(span, lower),)) if lower in OPTIONS else None


def _without_blanks(entry: Entry) -> Fix | None:
    """`PARAMETER  top_k 1` is read as a value without a name."""
    # A quote in the value would open a quoted text once the name stands where it should.
    if '"' in entry.node.text or entry.node.quote:
        return None
    if entry.node.text.split()[:1] not in [[name] for name in OPTIONS]:
        return None
    blanks = Span(entry.node.keyword_span.end, entry.node.value_span.start)
    return Fix("Leave one blank", (Edit(blanks, " "),))
