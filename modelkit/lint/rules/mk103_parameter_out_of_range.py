"""A number is outside what its parameter can mean.

## What it does

Reports numbers that no sampler or engine can work with, such as a negative temperature or a
probability over 1.

## Why is this bad

Out of range, the engine clamps the number, ignores it, or writes nonsense.

## Example

```
FROM llama3.2
PARAMETER top_p 90
```

## Use instead

```
FROM llama3.2
PARAMETER top_p 0.9
```

## Fix

None: the number that was meant is not known.
"""

from collections.abc import Iterator
from math import inf

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.WARNING

# name: (least, greatest, what the ends mean)
_RANGES = {
    "num_ctx": (4, inf, "tokens of context"),
    "num_batch": (1, inf, "tokens in one step"),
    "num_gpu": (-1, inf, "layers on the GPU; -1 lets the engine choose"),
    "main_gpu": (0, inf, "the number of a GPU"),
    "num_thread": (0, inf, "threads; 0 lets the engine choose"),
    "draft_num_predict": (0, inf, "drafted tokens"),
    "num_keep": (-1, inf, "tokens; -1 keeps the whole prompt"),
    "num_predict": (-2, inf, "tokens; -1 sets no limit, -2 fills the context"),
    "top_k": (0, inf, "candidates; 0 keeps all"),
    "top_p": (0, 1, "a probability"),
    "min_p": (0, 1, "a probability"),
    "typical_p": (0, 1, "a probability"),
    "repeat_last_n": (-1, inf, "tokens; 0 turns it off, -1 means the whole context"),
    "temperature": (0, 2, "0 always takes the likeliest token, 2 is wild"),
    "repeat_penalty": (0.1, 2, "a factor; 1 turns it off"),
    "presence_penalty": (-2, 2, "0 turns it off"),
    "frequency_penalty": (-2, 2, "0 turns it off"),
}


def check(context: Context) -> Iterator[Finding]:
    """Numbers outside their range."""
    for entry, value in context.parsed_parameters():
        if entry.name not in _RANGES or not isinstance(value, int | float):
            continue
        least, greatest, meaning = _RANGES[entry.name]
        if not least <= value <= greatest:
            bounds = f"at least {least}" if greatest == inf else f"from {least} to {greatest}"
            message = f"{entry.name} {entry.value} is out of range: it goes {bounds}"
            if greatest == inf:
                message = f"{entry.name} {entry.value} is out of range: it is {bounds}"
            yield Finding(entry.node.value_span, message, meaning)
