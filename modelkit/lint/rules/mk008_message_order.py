"""The MESSAGE instructions do not form a conversation.

## What it does

Reports two messages of one role in a row, a first answer without a question, and a last message
that is a question.

## Why is this bad

Chat templates express turns of user and assistant. Two messages of one role are merged into
one; a question at the end is merged with the first thing a user asks; many templates drop an
answer that no question precedes.

## Example

```
FROM llama3.2
MESSAGE user Is the sky blue?
```

## Use instead

```
FROM llama3.2
MESSAGE user Is the sky blue?
MESSAGE assistant Yes.
```

## Fix

None: which message is missing is not known.
"""

from collections.abc import Iterator
from itertools import pairwise

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity

SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Finding]:
    """Messages out of turn; what the system says may stand anywhere."""
    turns = [entry for entry in context.document.all("message") if entry.node.word != "system"]
    if not turns:
        return
    if turns[0].node.word == "assistant":
        yield Finding(
            turns[0].node.span,
            "the conversation begins with an answer",
            "put the user's question before it",
        )
    for before, entry in pairwise(turns):
        if before.node.word == entry.node.word:
            yield Finding(
                entry.node.span,
                f"two messages of {entry.node.word} in a row are merged into one",
                "let user and assistant take turns, or write one message",
            )
    if turns[-1].node.word == "user":
        yield Finding(
            turns[-1].node.span,
            "the last message is a question: it is merged with what the user asks first",
            "add the assistant's answer",
        )
