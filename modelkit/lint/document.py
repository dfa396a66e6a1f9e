"""A Modelfile for the linter: read past its syntax errors, so that the rest is checked too."""

import re
from dataclasses import dataclass, field, replace
from functools import cached_property

from modelkit.grammar.errors import MISTAKES, Fault, explain
from modelkit.grammar.positions import Lines
from modelkit.lint.diagnostic import Position
from modelkit.modelfile import command_fault, meaning
from modelkit.syntax import Comment, Instruction, Node, Span, read_nodes

MAX_SYNTAX_ERRORS = 20
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Entry:
    """One instruction with the name and the value of its command."""

    name: str
    value: str
    node: Instruction

    @property
    def is_parameter(self) -> bool:
        return self.node.keyword == "PARAMETER"


@dataclass
class Document:
    """The instructions and comments that could be read, and what could not."""

    source: str
    filename: str
    entries: list[Entry] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lines = Lines(self.source)
        # A byte order mark is no part of the first line.
        self._begin = 1 if self.source.startswith("\ufeff") else 0
        self._read()

    def position(self, offset: int) -> Position:
        """Line and column of an offset."""
        return Position(*self.lines.at(offset))

    def all(self, *names: str) -> list[Entry]:
        """The instructions of these names, in order."""
        return [entry for entry in self.entries if entry.name in names]

    def last(self, name: str) -> Entry | None:
        """The last instruction of a name: the one that counts."""
        return next((entry for entry in reversed(self.entries) if entry.name == name), None)

    def parameters(self) -> list[Entry]:
        """All PARAMETER instructions."""
        return [entry for entry in self.entries if entry.is_parameter]

    def whole_lines(self, span: Span) -> Span:
        """`span` widened to whole lines, the last line end included."""
        start = self.line_start(span.start)
        newline = _LINE_END.search(self.source, span.end)
        return Span(start, newline.end() if newline else len(self.source))

    @cached_property
    def newline(self) -> str:
        """How the first line ends."""
        newline = _LINE_END.search(self.source)
        return newline[0] if newline else "\n"

    def line_start(self, offset: int) -> int:
        """The offset of the first character of the line."""
        return max(self._begin, offset - self.lines.at(offset)[1] + 1)

    def _read(self) -> None:
        """Read as far as it goes, skip the line that does not parse, and go on behind it.

        Behind a quote that never closes, nothing can be told apart any more.
        """
        start = self._begin
        while (fault := self._read_lines(start, len(self.source))) is not None:
            line = self.whole_lines(Span(fault.offset, fault.offset))
            self._read_lines(start, line.start)
            self.faults.append(fault)
            start = line.end
            if self._is_open_quote(fault) or len(self.faults) >= MAX_SYNTAX_ERRORS:
                return
        if not self.faults and not self.all("model"):
            self.faults.append(MISTAKES["no FROM"].at(len(self.source)))

    def _read_lines(self, start: int, end: int) -> Fault | None:
        """Add what stands in whole lines; returns the first fault and then adds nothing."""
        from lark.exceptions import UnexpectedInput

        text = self.source[start:end]
        try:
            nodes = list(read_nodes(text, start))
        except UnexpectedInput as error:
            fault = explain(error, text)
            return replace(fault, offset=start + fault.offset)
        for node in nodes:
            if len(self.faults) >= MAX_SYNTAX_ERRORS:
                break
            self._add(node)
        return None

    def _add(self, node: Node) -> None:
        match node:
            case Comment():
                self.comments.append(node)
            case Instruction():
                fault = command_fault(node, self.source)
                if fault is None:
                    self.entries.append(Entry(*meaning(node), node))
                else:
                    self.faults.append(fault)

    def _is_open_quote(self, fault: Fault) -> bool:
        return self.source.startswith('"', fault.offset) and "EOF" in fault.message
