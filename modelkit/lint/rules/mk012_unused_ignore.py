"""An ignore comment silences nothing.

## What it does

Reports `# modelkit: ignore` comments, or codes in them, that had no effect.

## Why is this bad

The mistake was mended, or the comment stands in the wrong place: it belongs on the line above
its instruction. What is left over would hide the next mistake.

## Example

```
FROM llama3.2
# modelkit: ignore[MK104]
PARAMETER temperature 0.7
```

## Use instead

```
FROM llama3.2
PARAMETER temperature 0.7
```

## Fix

Safe: removes the code, or the comment.
"""

from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Edit, Finding, Fix, Severity
from modelkit.lint.ignores import Ignore
from modelkit.lint.rules import codes

SEVERITY = Severity.WARNING

# It runs only when asked for, so a comment about it can be idle.
_ONLY_LOCKED = "MK304"


def check(context: Context) -> Iterator[Finding]:
    """Comments and codes without effect, as far as their rules ran."""
    for ignore in context.ignores:
        idle = [code for code in ignore.unused() if _could_work(context, code)]
        if not idle:
            continue
        unknown = [code for code in idle if code and code not in codes()]
        message = "this comment silences nothing"
        if unknown:
            message = f"no rule is called {', '.join(unknown)}"
        elif any(idle):
            message = f"nothing to silence here for {', '.join(idle)}"
        hint = "remove it, or put it on the line above its instruction"
        yield Finding(ignore.comment.span, message, hint, _fix(context, ignore, idle))


def _could_work(context: Context, code: str) -> bool:
    if code == "":
        return len(context.ran) == len(codes())
    if code == _ONLY_LOCKED and not context.locked:
        return False
    return code in context.ran or code not in codes()


def _fix(context: Context, ignore: Ignore, idle: list[str]) -> Fix:
    left = sorted((ignore.codes or frozenset()) - set(idle))
    if not left:
        line = context.document.whole_lines(ignore.comment.span)
        return Fix("Remove the comment", (Edit(line, ""),))
    kind = "ignore-file" if ignore.scope is None else "ignore"
    text = f"# modelkit: {kind}[{', '.join(left)}]"
    return Fix("Remove the code", (Edit(ignore.comment.span, text),))
