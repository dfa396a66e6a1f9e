"""Comments that silence rules: `# modelkit: ignore[MK003]`, `# modelkit: ignore-file`."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from modelkit.lint.diagnostic import Diagnostic
from modelkit.lint.document import Document
from modelkit.syntax import Comment

SYNTAX_ERROR = "MK000"
_ANY = ""
_NOWHERE = -1
_DIRECTIVE = re.compile(r"#\s*modelkit:\s*ignore(?P<file>-file)?\s*(\[(?P<codes>[^]]*)\])?")


@dataclass
class Ignore:
    """One comment; without codes it silences every rule, except for syntax errors.

    `scope` is where the instruction below the comment starts; None means the whole file.
    """

    comment: Comment
    codes: frozenset[str] | None
    scope: int | None
    used: set[str] = field(default_factory=set)

    def unused(self) -> list[str]:
        """The listed codes that silenced nothing; an empty string for a comment without any."""
        if self.codes is None:
            return [] if self.used else [""]
        return sorted(self.codes - self.used)


class Ignores:
    """The ignore comments of a file. One that stands above no instruction covers nothing."""

    def __init__(self, document: Document) -> None:
        self._entries = sorted(document.entries, key=lambda entry: entry.node.span.start)
        self._starts = [entry.node.span.start for entry in self._entries]
        self.all = list(_read(document))
        # Of two comments that say the same, the first one does the work.
        self._table: dict[tuple[int | None, str], Ignore] = {}
        for ignore in self.all:
            for code in ignore.codes if ignore.codes is not None else [_ANY]:
                self._table.setdefault((ignore.scope, code), ignore)

    def silence(self, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
        """The diagnostics that no comment covers; each comment learns what it covered."""
        return [item for item in diagnostics if not self._covers(item)]

    def _covers(self, item: Diagnostic) -> bool:
        if item.code == SYNTAX_ERROR:
            return False
        instruction = self._instruction_at(item.span.start)
        scopes = (None,) if instruction is None else (instruction, None)
        for key in [(scope, code) for scope in scopes for code in (item.code, _ANY)]:
            if key in self._table:
                self._table[key].used.add(item.code)
                return True
        return False

    def _instruction_at(self, offset: int) -> int | None:
        index = bisect_right(self._starts, offset) - 1
        if index < 0 or offset > self._entries[index].node.span.end:
            return None
        return self._starts[index]


def _read(document: Document) -> Iterator[Ignore]:
    below = _instructions_below(document)
    for comment in document.comments:
        match = _DIRECTIVE.match(comment.text)
        if match:
            scope = None if match["file"] else below.get(comment.span.start, _NOWHERE)
            yield Ignore(comment, _codes(match["codes"]), scope)


def _codes(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    return frozenset(word.upper() for word in re.split(r"[\s,]+", text) if word)


def _instructions_below(document: Document) -> dict[int, int]:
    """For the start of each comment, that of the instruction below it, without an empty line."""
    starts = [(entry.node.span.start, True) for entry in document.entries]
    starts += [(comment.span.start, False) for comment in document.comments]
    below: dict[int, int] = {}
    line_below, scope = 0, _NOWHERE
    for start, is_instruction in sorted(starts, reverse=True):
        line = document.position(start).line
        if is_instruction:
            scope = start
        elif line + 1 != line_below:
            scope = _NOWHERE
        if not is_instruction:
            below[start] = scope
        line_below = line
    return below
