"""A RENDERER or PARSER that does not exist.

## What it does

Reports names that are not among those of the reference implementation.

## Why is this bad

With an unknown renderer every request fails; an unknown parser leaves thinking and tool calls
in the text.

## Example

```
FROM llama3.2
RENDERER qwen3-codr
```

## Use instead

```
FROM llama3.2
RENDERER qwen3-coder
```

## Fix

None.
"""

from collections.abc import Iterator

from modelkit.grammar.errors import nearest
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.ERROR

_BOTH = frozenset(
    [
        "qwen3-coder",
        "qwen3-vl-instruct",
        "qwen3-vl-thinking",
        "qwen3.5",
        "ornith",
        "cogito",
        "olmo3",
        "olmo3-think",
        "nemotron-3-nano",
        "nemotron-3.5-nano",
        "gemma4",
        "functiongemma",
        "glm-4.7",
        "glm-ocr",
        "lfm2",
        "lfm2-thinking",
        "laguna",
        "poolside-v1",
        "cohere",
        "glimmer",
    ]
)
_KNOWN = {
    "renderer": _BOTH
    | {"qwen3.8", "deepseek3.1", "olmo3.1", "olmo3-32b-think", "gemma4-small", "gemma4-large"},
    "parser": _BOTH
    | {
        "qwen3",
        "qwen3-thinking",
        "ministral",
        "passthrough",
        "harmony",
        "deepseek3",
        "gemma4-no-thinking",
    },
}


def check(context: Context) -> Iterator[Finding]:
    """Names that are not in the lists."""
    for name, known in _KNOWN.items():
        entry = context.document.last(name)
        if entry is None or not entry.value or entry.value in known:
            continue
        match = nearest(entry.value.lower(), sorted(known))
        hint = (
            f"did you mean {match}?"
            if match
            else "the names are those of the reference implementation, such as qwen3-coder"
        )
        keyword = entry.node.keyword
        yield Finding(entry.node.value_span, f"no {keyword} is called {entry.value}", hint)
