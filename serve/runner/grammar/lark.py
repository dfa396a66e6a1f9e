"""Lark grammars of clients as llguidance gets them.

In addition to llguidance's own notation, `%special "text"` is a text whose special tokens are meant
as such, spelt letter by letter where the vocabulary has none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from modelkit.errors import UsageError
from modelkit.serve.runner.grammar.schema import normalise
from modelkit.serve.runner.grammar.spelling import COMPACT

# llguidance follows rules from one to the next on the stack: some thousands would overflow it.
_MAX_RULES = 1000
_TOKENS = re.compile(
    r'"(?:\\.|[^"\\])*"|/(?:\\.|[^/\\\n])+/|//[^\n]*|#[^\n]*|:|(?P<macro>%(?:json|special)\s*)'
)


def strict_lark(source: str, special: Callable[[], Mapping[str, int]]) -> str:
    """A grammar of bearable size, whose `%json {...}` are as strict as schemas alone.

    `special` are the vocabulary's special tokens by their texts. Raises UsageError for what is not
    enforced, ValueError for what is not JSON.
    """
    parts, at, rules = [], 0, 0
    while found := _TOKENS.search(source, at):
        macro = found["macro"]
        parts.append(source[at : found.start() if macro else found.end()])
        rules += found[0] == ":"
        at = found.end()
        if macro:
            value, at = json.JSONDecoder().raw_decode(source, at)
            json_macro = macro.startswith("%json")
            parts.append(_schema(value) if json_macro else _spelt(str(value), special()))
    if rules > _MAX_RULES:
        raise UsageError(f"the grammar has more than {_MAX_RULES} rules")
    return "".join([*parts, source[at:]])


def _schema(schema: Any) -> str:
    where = schema.get("x-where") if isinstance(schema, dict) else None
    try:
        strict = normalise(json.dumps(schema))
    except UsageError as error:
        raise UsageError(f"{error.message}, in {where}" if where else error.message) from error
    return f"%json {json.dumps({**strict, 'x-guidance': COMPACT})}"


def _spelt(text: str, special: Mapping[str, int]) -> str:
    """The text's special tokens by number and what is between them as it is."""
    names = sorted(special, key=len, reverse=True)
    parts = re.split(f"({'|'.join(map(re.escape, names))})", text) if names else [text]
    spelt = [f"<[{special[p]}]>" if p in special else json.dumps(p) for p in parts if p]
    return "(" + " ".join(spelt or ['""']) + ")"
