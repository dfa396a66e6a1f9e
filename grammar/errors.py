"""What can be wrong in a Modelfile: message, hint and example inputs, one table.

The tests parse every example and expect its message. Messages that the reference implementation
has are its own words and line numbers, because tools match them; the hints are ours.
"""

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput

INSTRUCTIONS = (
    "FROM",
    "LICENSE",
    "TEMPLATE",
    "SYSTEM",
    "ADAPTER",
    "DRAFT",
    "RENDERER",
    "PARSER",
    "PARAMETER",
    "MESSAGE",
    "REQUIRES",
)
ROLES = ("system", "user", "assistant")

_COMMANDS = (
    "(line {line}): command must be one of "
    + ", ".join(f'"{name.lower()}"' for name in INSTRUCTIONS[:-1])
    + ', or "requires"'
)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, where it starts in the text, and what to do about it."""

    message: str
    hint: str
    offset: int


@dataclass(frozen=True)
class Mistake:
    """A row of the table; `message` and `hint` have fields that `at` fills in."""

    message: str
    hint: str
    examples: tuple[str | bytes, ...]

    def at(self, offset: int, **fields: object) -> Fault:
        """This mistake, found at `offset`."""
        return Fault(self.message.format(**fields), self.hint.format(**fields), offset)


MISTAKES = {
    "unknown instruction": Mistake(
        _COMMANDS,
        "{advice}",
        ("FOO bar\nFROM a", "FROM a\nFOO bar", "PARAMTER top_k 1", "FROM: a", "@\n", "F\x00R\x00"),
    ),
    "instruction without a value": Mistake(
        _COMMANDS,
        "{word} needs a value on the same line",
        ("FROM\n", "FROM a\nsystem\r\nbe brief"),
    ),
    "instruction cut off": Mistake(
        "unexpected EOF",
        "the file ends inside an instruction; write it out with its value",
        ("FROM", "FROM a\nSYS", "FROM a\n\n  license"),
    ),
    "bad parameter name": Mistake(
        "unexpected EOF: {word}",
        "write PARAMETER name value on one line; a name has letters, digits and _",
        ("FROM a\nPARAMETER stop\n", "PARAMETER temp-x 1", "PARAMETER \nFROM a"),
    ),
    "parameter cut off": Mistake(
        "unexpected EOF",
        "the file ends inside PARAMETER; write PARAMETER name value",
        ("FROM a\nPARAMETER ", "FROM a\nPARAMETER stop"),
    ),
    "reserved parameter name": Mistake(
        "unknown parameter '{word}'",
        "no parameter has that name; did you mean the instruction {instruction}?",
        ("FROM a\nPARAMETER system be brief", "PARAMETER model a"),
    ),
    "bad role": Mistake(
        '(line {line}): message role must be one of "system", "user", or "assistant"',
        "{advice}",
        ("FROM a\nMESSAGE tool hi", "MESSAGE USER hi", "MESSAGE  user hi", "MESSAGE usr hi"),
    ),
    "role without a message": Mistake(
        "unexpected EOF: {word}",
        "write MESSAGE role text on one line, with a space and no colon after the role",
        ("FROM a\nMESSAGE user: hi", "MESSAGE user\nhi", "MESSAGE \n"),
    ),
    "message cut off": Mistake(
        "unexpected EOF",
        "the file ends inside MESSAGE; write MESSAGE role text",
        ("FROM a\nMESSAGE ", "FROM a\nMESSAGE user"),
    ),
    "open quote": Mistake(
        "unexpected EOF",
        "the value opened with {quote} here never closes: a closing {quote} must be the last thing"
        " on its line",
        ('FROM "a', 'SYSTEM "abc" def', 'SYSTEM """abc"', 'SYSTEM """"', 'MESSAGE user "hi\n'),
    ),
    "no FROM": Mistake(
        "no FROM line",
        "add a line such as FROM llama3.2 or FROM ./folder-with-weights",
        ("", "# nothing yet\n", "SYSTEM be brief", b"\xef\xbb\xbf"),
    ),
    "control character": Mistake(
        "(line {line}): control character {character} in a value",
        "remove the character; only tab and line ends are allowed",
        ("FROM a\nSYSTEM be\x1b[1m brief", 'FROM a\nSYSTEM "\x00"', "FROM a\x7f", "FROM a\ud800"),
    ),
    "not UTF-8": Mistake(
        "(line {line}): not valid {encoding}",
        "save the file as UTF-8",
        (b"FROM a\nSYSTEM caf\xe9", b"\xff\xfeF"),
    ),
}

_LINE_END = re.compile(r"[\r\n]")
_WORD = re.compile(r".[A-Za-z]*")
_NAME = re.compile(r"[A-Za-z0-9_]*")
_ROLE = re.compile(r"[A-Za-z]*")
_UP_TO_BLANK = re.compile(r"[^ \t\r\n]*")


def explain(error: "UnexpectedInput", text: str) -> Fault:
    """The mistake behind an error that Lark raised for `text`.

    What the parser would have accepted tells which of the four places of the grammar it was in.
    """
    allowed, offset = _place(error, text)
    if "NAME" in allowed:
        return _explain_parameter(text, offset)
    if "ROLE" in allowed:
        return _explain_message(text, offset)
    if "QUOTED" in allowed:
        quote = '"""' if text.startswith('"""', offset) else '"'
        return MISTAKES["open quote"].at(offset, quote=quote)
    return _explain_instruction(text, offset)


def _place(error: "UnexpectedInput", text: str) -> tuple[Set[str], int]:
    """The terminals the parser would have accepted, and the offset at which it saw none of them."""
    from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

    match error:
        case UnexpectedCharacters():
            return error.allowed, error.pos_in_stream or 0
        case UnexpectedToken() if error.token.type != "$END":
            return error.expected, error.pos_in_stream or 0
        case UnexpectedToken() | UnexpectedEOF():
            return set(error.expected), len(text)
    raise error


def counted_line(text: str, offset: int) -> int:
    """The line number that reference messages give: CR and LF count one each.

    A line end at `offset` itself counts too, so a missing value is reported on the next line.
    """
    return 1 + len(_LINE_END.findall(text, 0, offset + 1))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` is most likely a misspelling of."""
    return next(iter(get_close_matches(word, known, n=1, cutoff=0.7)), None)


def _explain_instruction(text: str, offset: int) -> Fault:
    end = _end(_WORD, text, offset)
    if end == len(text):
        return MISTAKES["instruction cut off"].at(offset)
    line = counted_line(text, end)
    word = text[offset : _end(_UP_TO_BLANK, text, offset)]
    if word.upper() in INSTRUCTIONS:
        return MISTAKES["instruction without a value"].at(end, line=line, word=word.upper())
    return MISTAKES["unknown instruction"].at(offset, line=line, advice=_advice(word))


def _advice(word: str) -> str:
    if "\x00" in word:
        return "the file looks like UTF-16 without a byte order mark; save it as UTF-8"
    if not word[0].isprintable():
        return f"an invisible character U+{ord(word[0]):04X} stands before the instruction"
    match = nearest(re.sub(r"\W+$", "", word.upper()), INSTRUCTIONS)
    if match:
        return f"did you mean {match}?"
    return 'a value of several lines needs """ around it; a comment starts with #'


def _explain_parameter(text: str, offset: int) -> Fault:
    end = _end(_NAME, text, offset)
    if end == len(text):
        return MISTAKES["parameter cut off"].at(offset)
    return MISTAKES["bad parameter name"].at(end, word=text[offset:end])


def _explain_message(text: str, offset: int) -> Fault:
    end = _end(_ROLE, text, offset)
    if end == len(text):
        return MISTAKES["message cut off"].at(offset)
    word = text[offset:end]
    if text[end] not in " \t":
        return MISTAKES["role without a message"].at(end, word=word)
    match = nearest(word.lower(), ROLES)
    advice = f"did you mean {match}?" if match else "write MESSAGE role text with one space each"
    return MISTAKES["bad role"].at(offset, line=counted_line(text, offset), advice=advice)


def _end(pattern: re.Pattern[str], text: str, offset: int) -> int:
    match = pattern.match(text, offset)
    return match.end() if match else offset
