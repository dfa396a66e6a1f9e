"""No stop text fits the template.

## What it does

Renders a conversation with the TEMPLATE and looks for the marker that follows an answer, such
as <|im_end|>. Reports when no `PARAMETER stop` of the file, or of a base model in the local
store, stands there. End-of-text tokens that every engine knows, such as </s>, need no stop
text.

## Why is this bad

The model writes the marker at the end of its answer. Unless the engine knows the token by
itself, the answer goes on with an invented question.

## Example

```
FROM llama3.2
TEMPLATE <|user|>{{ .Prompt }}<|end|><|assistant|>{{ .Response }}<|end|>
```

## Use instead

```
FROM llama3.2
TEMPLATE <|user|>{{ .Prompt }}<|end|><|assistant|>{{ .Response }}<|end|>
PARAMETER stop <|end|>
```

## Fix

None: one marker may be as good as another.
"""

import re
from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity
from modelkit.lint.template import ANSWER, SECOND, converse

SEVERITY = Severity.WARNING

_MARKER = re.compile(
    r"<[|\uff5c][^|\uff5c<>]{1,40}[|\uff5c]>|<[a-z/_]{2,24}>|\[/?[A-Z_]{2,24}\]"
    r"|#{2,3} ?[A-Z]\w{1,24}:?|(?<=\n)[A-Z]\w{2,24}:"
)
_KNOWN_ENDS = re.compile(
    r"</s>|<eos>|<\|end_?of_?text\|>|<[|\uff5c]end\u2581of\u2581sentence[|\uff5c]>", re.IGNORECASE
)


def check(context: Context) -> Iterator[Finding]:
    """The marker behind an answer, against the stop texts."""
    view = context.template
    prompt = view.renders(*converse()) if view else None
    if view is None or not isinstance(prompt, str):
        return
    behind, second, _ = prompt.partition(ANSWER)[2].partition(SECOND)
    marker = _MARKER.search(behind) if second else None
    if not marker or _KNOWN_ENDS.fullmatch(marker[0]):
        return
    stops = _stops(context)
    if any(stop and stop in behind for stop in stops):
        return
    given = f"none of the stop texts is {marker[0]!r}" if stops else "there is no stop text"
    yield Finding(
        view.node.keyword_span,
        f"an answer ends with {marker[0]!r} in this template, and {given}",
        f"add PARAMETER stop {marker[0]}",
    )


def _stops(context: Context) -> list[str]:
    given = [entry.value for entry in context.document.all("stop")]
    base = context.base.parameters if context.base else None
    inherited = base.get("stop") if base else None
    return given or ([str(stop) for stop in inherited] if isinstance(inherited, list) else [])
