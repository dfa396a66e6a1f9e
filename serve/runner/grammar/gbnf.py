"""GBNF, llama.cpp's grammar notation, in the notation of llguidance.

llguidance reads an answer word by word, as a compiler does: what does not refer to itself becomes
a word, which is as long as it can be. A grammar without recursion is one word, hence exact. In a
recursive one a word must not run on into what follows it: after [a-z]+ there is no "z".
"""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import accumulate
from pathlib import Path

from lark import Lark, Token, Tree
from lark.exceptions import LarkError

from modelkit.errors import UsageError

# Both bound the time of a conversion to a second, and what Python and llguidance must stack up.
_MAX_LENGTH = 1 << 16
_MAX_DEPTH = 50
_PAREN = re.compile(r'"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])+\]|#[^\n]*|([()])', re.S)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.S)
_SHORT = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "[": "[", "]": "]"}
_MEMBER = re.compile(rf"({_ESCAPE.pattern}|.)(-(?!$))?", re.S)


def to_lark(source: str) -> str:
    """llguidance's Lark for a GBNF grammar; raises UsageError for one that is not valid."""
    if len(source) > _MAX_LENGTH or _depth(source) > _MAX_DEPTH:
        limits = f"{_MAX_LENGTH} characters, {_MAX_DEPTH} levels of parentheses"
        raise UsageError(f"the GBNF grammar is too large; the limit is {limits}")
    try:
        tree = _parser().parse(source)
    except LarkError as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"the GBNF grammar cannot be read: {reason}") from error
    rules: dict[str, Tree[Token]] = {}
    for rule in tree.children:
        head, choice = rule.children  # type: ignore[union-attr]
        rules[str(head).removesuffix("::=").rstrip()] = choice  # type: ignore[assignment]
    if "root" not in rules:
        raise UsageError('the GBNF grammar has no rule named "root"')
    return _Converter(rules).run()


@cache
def _parser() -> Lark:
    grammar = (Path(__file__).parent / "gbnf.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr")


def _depth(source: str) -> int:
    """How deep parentheses are nested."""
    steps = (1 if found[1] == "(" else -1 for found in _PAREN.finditer(source) if found[1])
    return max(accumulate(steps), default=0)


class _Converter:
    """Writes every rule the root reaches; names become r0, r1... or, for words, R0, R1..."""

    def __init__(self, rules: dict[str, Tree[Token]]) -> None:
        self._rules = rules
        self._numbers = {name: number for number, name in enumerate(rules)}
        uses = {name: _uses(choice) for name, choice in rules.items()}
        for name, used in uses.items():
            if missing := used - rules.keys():
                raise UsageError(f"the GBNF rule {name!r} uses {min(missing)!r}, which is no rule")
        self._recursive = _recursive(uses)
        self._words: list[str] = []

    def run(self) -> str:
        lines = [f"start: {self._name('root')}"]
        for name, choice in self._rules.items():
            in_word = name not in self._recursive
            lines.append(f"{self._name(name)}: {self._choice(choice, in_word=in_word)}")
        return "\n".join([*lines, *self._words])

    def _name(self, name: str) -> str:
        return f"{'r' if name in self._recursive else 'R'}{self._numbers[name]}"

    def _choice(self, choice: Tree[Token], *, in_word: bool) -> str:
        return " | ".join(self._sequence(part, in_word=in_word) for part in _trees(choice))

    def _sequence(self, sequence: Tree[Token], *, in_word: bool) -> str:
        return " ".join(self._item(item, in_word=in_word) for item in _trees(sequence)) or '""'

    def _item(self, item: Tree[Token], *, in_word: bool) -> str:
        atom, *repeats = item.children
        repeat = re.sub(r"\s", "", str(repeats[0])) if repeats else ""
        if not isinstance(atom, Tree):
            raise TypeError(atom)
        word = not (_uses(atom) & self._recursive)
        if word and repeat and not in_word:
            name = f"W{len(self._words)}"
            self._words.append(f"{name}: {self._atom(atom, in_word=True)}{repeat}")
            return name
        return self._atom(atom, in_word=in_word) + repeat

    def _atom(self, atom: Tree[Token], *, in_word: bool) -> str:
        if atom.data == "choice":
            return f"({self._choice(atom, in_word=in_word)})"
        if atom.data == "any":
            return "/(?s:.)/"
        token = str(atom.children[0])
        if atom.data == "name":
            return self._name(token)
        if atom.data == "text":
            return json.dumps(_ESCAPE.sub(_character, token[1:-1]))
        return _set(token[1:-1])


def _set(body: str) -> str:
    negated = body.startswith("^")
    parts = []
    for found in _MEMBER.finditer(body[1:] if negated else body):
        code = ord(_ESCAPE.sub(_character, found[1]))
        parts.append(f"\\u{{{code:x}}}{'-' if found[6] else ''}")
    return f"/[{'^' if negated else ''}{''.join(parts)}]/"


def _character(escape: re.Match[str]) -> str:
    digits = escape[1] or escape[2] or escape[3]
    if digits is None and escape[4] not in _SHORT:
        raise UsageError(f"the GBNF grammar has an unknown escape {escape[0]!r}")
    try:
        return chr(int(digits, 16)) if digits else _SHORT[escape[4]]
    except ValueError as error:
        raise UsageError(f"the GBNF escape {escape[0]!r} is no character") from error


def _trees(tree: Tree[Token]) -> list[Tree[Token]]:
    return [child for child in tree.children if isinstance(child, Tree)]


def _uses(tree: Tree[Token]) -> set[str]:
    return {str(name.children[0]) for name in tree.find_data("name")}


def _recursive(uses: dict[str, set[str]]) -> set[str]:
    """The rules that lead back to themselves, and those that use such a rule."""
    plain: set[str] = set()
    while True:
        before = len(plain)
        # Backwards: a rule is usually used before it is written.
        for name in reversed(uses):
            if uses[name] <= plain:
                plain.add(name)
        if len(plain) == before:
            return uses.keys() - plain
