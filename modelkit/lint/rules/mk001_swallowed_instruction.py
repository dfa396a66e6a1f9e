"""A quoted value goes on behind its closing quote and takes the next lines in.

## What it does

Reports a quoted value of several lines that looks as if it was to end earlier: text follows a
quote on the first line, or the last line is itself an instruction with a quote.

## Why is this bad

A value that starts with a quote ends only where a line ends with the same quote. Everything up
to there, other instructions included, silently becomes part of the value.

## Example

```
FROM llama3.2
SYSTEM "Be brief." # tone
PARAMETER stop "<|end|>"
```

## Use instead

```
FROM llama3.2
# tone
SYSTEM Be brief.
PARAMETER stop "<|end|>"
```

## Fix

None: where the value was to end is not known. A value that is meant to hold quotes and line
ends goes into \"\"\".
"""

import re
from collections.abc import Iterator

from modelkit.grammar.errors import INSTRUCTIONS
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity
from modelkit.syntax import Instruction, Span

SEVERITY = Severity.ERROR

_HINT = 'a value ends where a line ends with its quote; text with quotes inside goes into """'
_LINE_END = re.compile(r"[\r\n]")
_INSTRUCTION = re.compile(rf"[ \t]*({'|'.join(INSTRUCTIONS)})[ \t]", re.IGNORECASE)


def check(context: Context) -> Iterator[Finding]:
    """Quoted values that swallowed more than was meant."""
    for entry in context.document.entries:
        node = entry.node
        end = _LINE_END.search(node.text) if node.quote else None
        if end is None:
            continue
        inner = node.text.find(node.quote, 0, end.start())
        if inner >= 0:
            start = node.text_start + inner
            message = f"text follows the closing {node.quote}, so the value goes on"
            yield Finding(Span(start, node.text_start + end.start()), message, _HINT)
        elif (swallowed := _swallowed_line(node)) is not None:
            yield Finding(swallowed, f"this line is part of the value of {node.keyword}", _HINT)


def _swallowed_line(node: Instruction) -> Span | None:
    start = max(node.text.rfind("\n"), node.text.rfind("\r")) + 1
    if _INSTRUCTION.match(node.text, start) and node.quote in node.text[start:]:
        return Span(node.text_start + start, node.span.end)
    return None
