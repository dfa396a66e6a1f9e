"""A JSON schema's regular expressions (ECMA-262) in the dialect of llguidance (Rust's).

Dialects disagree on what \\w or a dot matches. A pattern is translated so that whatever it then
matches, it matches in ECMA-262, in Python's re and in Rust's regex alike.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from modelkit.errors import UsageError

_LINE_ENDS = r"\n\r\u2028\u2029"
# llguidance lets quotes and backslashes into a set that has all control characters, as [^"] does.
# NUL, which no answer can contain, is therefore taken out of every set.
_NUL = r"\x00"


class _Class(NamedTuple):
    """A class escape: what it means in every dialect, and what it means in any of them."""

    all: str
    any: str


_DIGIT = _Class(r"[0-9]", r"[\p{Nd}]")
_WORD = _Class(r"[0-9A-Za-z_]", r"[\p{L}\p{N}\p{M}\p{Pc}]")
_SPACE = _Class(r"[ \t\n\r\x0B\x0C]", r"[\s\x1C-\x1F\u{FEFF}]")
_CLASSES = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
for _letter, (_all, _any) in list(_CLASSES.items()):
    _CLASSES[_letter.upper()] = _Class(f"[^{_any[1:]}", f"[^{_all[1:]}")

_CONTROLS = {"n": r"\n", "r": r"\r", "t": r"\t", "f": r"\x0C", "v": r"\x0B", "0": _NUL}
_HEX = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}")
_PROPERTY = re.compile(r"[pP]\{[A-Za-z_=]+\}")
_REPEAT = re.compile(r"\{\d+(,\d*)?\}")
_GROUP = re.compile(r"\((\?:|\?<[A-Za-z_$][\w$]*>|(?!\?))")
_SURROGATES = range(0xD800, 0xE000)


class Translation(NamedTuple):
    """The translated pattern; `exact` when all dialects agree on what the original matches."""

    pattern: str
    exact: bool


def translate(pattern: str) -> Translation:
    """Raises UsageError, naming the construct, for what llguidance or a dialect does not have."""
    return _Translator(pattern).run()


class _Translator:
    """One pass over a pattern."""

    def __init__(self, pattern: str) -> None:
        self._source = pattern
        self._at = 0
        self._out: list[str] = []
        self._exact = True

    def run(self) -> Translation:
        while self._at < len(self._source):
            self._out.append(self._atom())
        return Translation("".join(self._out), self._exact)

    def _refuse(self, what: str) -> UsageError:
        return UsageError(f"{what} in the pattern {self._source!r} cannot be enforced")

    def _take(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        found = expression.match(self._source, self._at)
        if found:
            self._at = found.end()
        return found

    def _next(self) -> str:
        character = self._source[self._at : self._at + 1]
        self._at += 1
        return character

    def _atom(self) -> str:
        match self._source[self._at]:
            case "\\":
                self._at += 1
                escaped = self._escape(negated=False)
                if escaped in {_NUL, r"\u{0}"}:
                    raise self._refuse("NUL")
                return _without_nul(escaped) if escaped.startswith(("[", r"\p", r"\P")) else escaped
            case "[":
                self._at += 1
                return self._set()
            case "(":
                if not self._take(_GROUP):
                    raise self._refuse(f'the group "{self._source[self._at : self._at + 3]}"')
                return "(?:"
            case "{":
                found = self._take(_REPEAT)
                if not found:
                    raise self._refuse('a "{" that is no repetition')
                return found[0]
            case ".":
                self._at += 1
                self._exact = False
                return f"[^{_LINE_ENDS}{_NUL}]"
            case "]" | "}":
                return "\\" + self._next()
            case _:
                return self._next()

    def _escape(self, *, negated: bool) -> str:
        """What follows a backslash; inside a negated set a class means all it may mean."""
        if found := self._take(_HEX):
            return self._code(int(found[1] or found[2] or found[3], 16))
        if found := self._take(_PROPERTY):
            return f"\\{found[0]}"
        character = self._next()
        if character in _CLASSES:
            self._exact = False
            narrow, wide = _CLASSES[character]
            return wide if negated else narrow
        if character == "0" and self._source[self._at : self._at + 1].isdigit():
            raise self._refuse("an octal escape")
        if character in _CONTROLS:
            return _CONTROLS[character]
        if not character or (character.isascii() and character.isalnum()):
            raise self._refuse(f'"\\{character}"')
        return re.escape(character)

    def _code(self, code: int) -> str:
        if code in _SURROGATES:
            low = self._source[self._at : self._at + 1] == "\\" and _HEX.match(
                self._source, self._at + 1
            )
            second = int(low[2], 16) if low and low[2] else 0
            if code >= 0xDC00 or second not in range(0xDC00, 0xE000):
                raise self._refuse("half a surrogate pair")
            self._at += 6
            code = 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00)
        if code > 0x10FFFF:
            raise self._refuse("a code point beyond Unicode")
        return f"\\u{{{code:X}}}"

    def _set(self) -> str:
        """A set in brackets, from after its opening one."""
        negated = self._source.startswith("^", self._at)
        self._at += negated
        if self._source.startswith("]", self._at):
            raise self._refuse("an empty set")
        parts: list[str] = []
        while (character := self._next()) != "]":
            if not character:
                raise self._refuse("a set without end")
            parts.append(self._member(character, negated=negated, first=not parts))
        return _without_nul(f"[{'^' if negated else ''}{''.join(parts)}]")

    def _member(self, character: str, *, negated: bool, first: bool) -> str:
        if character == "\\":
            is_class = self._source[self._at : self._at + 1] in {*_CLASSES, "p", "P"}
            member = self._escape(negated=negated)
            if is_class and re.match(r"-[^\]]", self._source[self._at :]):
                raise self._refuse("a range that begins with a class")
            return member
        if character == "-":
            last = self._source.startswith("]", self._at)
            if not (first or last) and re.match(r"\\[dwsDWSpP]|-", self._source[self._at :]):
                raise self._refuse("a range that ends with a class or a hyphen")
            return "\\-" if first or last else "-"
        return f"\\{character}" if character in "[&~^" else character


def _without_nul(members: str) -> str:
    return f"[{members}&&[^{_NUL}]]"
