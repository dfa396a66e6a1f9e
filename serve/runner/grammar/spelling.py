"""How JSON is spelt in answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

# No \uXXXX: every string then has one spelling, so a property cannot hide behind another one.
_STRINGS: JsonCompileOptions = {
    "json_allowed_escapes": 'nrbtf\\"',
    "lenient": False,
    "coerce_one_of": False,
}
# An answer to a schema is compact: from a key's first quote to its value all is forced, and what is
# forced is not sampled but read at the speed of a prompt.
COMPACT: JsonCompileOptions = {
    **_STRINGS,
    "whitespace_flexible": False,
    "item_separator": ",",
    "key_separator": ":",
}
# Without a schema nothing is forced and a model writes as it is used to, though never blanks alone.
RELAXED: JsonCompileOptions = {**_STRINGS, "whitespace_pattern": r" |\n{1,2}[ \t]{0,20}"}
