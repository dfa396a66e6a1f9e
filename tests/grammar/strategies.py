"""Random Modelfiles and commands for the property tests."""

from hypothesis import strategies as st

from modelkit.errors import UsageError
from modelkit.grammar.errors import ROLES
from modelkit.modelfile import Command

_QUOTES = ['"', '"""', "'"]
_LAYOUT = [" ", "\t", "\n", "\r\n", "\r"]
_PIECES = [*_QUOTES, *_LAYOUT, "#", "\\", "a", "x y", "é", "👨\u200d👩", ":"]
_TEXT = st.lists(st.sampled_from(_PIECES), max_size=8).map("".join)
_ONE_LINE = st.from_regex(r'[a-z# \t0-9.]*("x")?', fullmatch=True)
_QUOTED = st.sampled_from(['"{}"', '"""{}"""', '"{}', '"""{}"'])
_VALUES = _ONE_LINE | _ONE_LINE | st.builds(str.format, _QUOTED, _TEXT) | _TEXT

_HEADS = st.sampled_from(
    [
        *("FROM ", "from\t", " FROM  ", "LICENSE ", "template ", "SYSTEM ", "\tAdapter ", "DRAFT "),
        *("RENDERER ", "parser ", "REQUIRES ", "PARAMETER stop ", "parameter\ttop_k\t", "# ", ""),
        *("PARAMETER  top_k ", "MESSAGE user ", "message assistant  ", "MESSAGE system\t"),
    ]
)
_BROKEN_HEADS = st.sampled_from(
    [
        *("FOO ", "FROM", "FROM:", "@", "PARAMETER temp-x ", "PARAMETER top_k", "PARAMETER "),
        *("MESSAGE tool ", "MESSAGE USER ", "MESSAGE user: ", "MESSAGE user", "MESSAGE  user "),
    ]
)
_ENDS = st.sampled_from(["\n", "\n", "\r\n", "\r", " \n", "\n\n", "\n# note\n", ""])

_LINES = st.tuples(_HEADS, _VALUES, _ENDS).map("".join)
_BROKEN_LINES = st.tuples(_BROKEN_HEADS, _VALUES, _ENDS).map("".join)
_GOOD_FILES = st.lists(_LINES, max_size=5).map("".join)

MODELFILES = (
    _GOOD_FILES
    | _GOOD_FILES.map("FROM a\n{}".format)
    | _GOOD_FILES.map("{}\nFROM a".format)
    | st.tuples(_GOOD_FILES, _BROKEN_LINES, _GOOD_FILES).map("".join)
)
"""Texts that look like Modelfiles; about a third of them parse."""

_SETTINGS = st.sampled_from(
    ["adapter", "draft", "template", "system", "license", "renderer", "parser", "requires"]
)
_PARAMETERS = st.from_regex(r"[A-Za-z0-9_]{0,5}", fullmatch=True)


def _command(name: str, role: str, text: str) -> Command | None:
    try:
        return Command(name, f"{role}: {text}" if name == "message" else text)
    except UsageError:
        return None


COMMANDS = st.builds(
    _command,
    _SETTINGS | _PARAMETERS | st.just("message"),
    st.sampled_from(ROLES),
    _TEXT | st.text(max_size=12),
)
"""Any command; None where no Modelfile could hold it."""
