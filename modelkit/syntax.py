"""A Modelfile as it is written: instructions, comments and line breaks, each with its place.

What the instructions mean is modelfile.py's business; the formatter and the linter work on this.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from modelkit.grammar import load

if TYPE_CHECKING:
    from lark import Token, Tree

_QUOTES = {"TRIPLE": '"""', "QUOTED": '"', "BARE": ""}
_LINE_END = re.compile(r"\r\n|\r|\n")
_BLANKS = re.compile(r"[^\S\r\n]*")


@dataclass(frozen=True)
class Span:
    """The characters from `start` up to, not including, `end`; offsets into the text."""

    start: int
    end: int


@dataclass(frozen=True)
class Instruction:
    """One instruction, from its keyword to the end of its value.

    `word` is the name of a PARAMETER or the role of a MESSAGE, with its place. `written` is the
    value with its quotes; the empty value that is not written at all stands at the end.
    """

    keyword: str
    span: Span
    written: str
    quote: str
    word: str = ""
    word_span: Span | None = None

    @property
    def keyword_span(self) -> Span:
        """The place of the keyword."""
        return Span(self.span.start, self.span.start + len(self.keyword))

    @property
    def value_span(self) -> Span:
        """The place of the value, quotes included."""
        return Span(self.span.end - len(self.written), self.span.end)

    @property
    def text(self) -> str:
        """The value without its quotes."""
        return self.written[len(self.quote) : len(self.written) - len(self.quote)]

    @property
    def text_start(self) -> int:
        """The offset of the first character inside the quotes."""
        return self.value_span.start + len(self.quote)

    def line_end(self, source: str) -> int:
        """The offset behind the blanks that follow the value, where the line ends."""
        blanks = _BLANKS.match(source, self.span.end)
        return blanks.end() if blanks else self.span.end


@dataclass(frozen=True)
class Comment:
    """One comment, from its # to the end of the line."""

    text: str
    span: Span


@dataclass(frozen=True)
class Break:
    """`count` line ends, with nothing but blanks between them."""

    text: str
    span: Span

    @property
    def count(self) -> int:
        return len(_LINE_END.findall(self.text))


Node = Instruction | Comment | Break


def read_nodes(source: str, offset: int = 0) -> Iterator[Node]:
    """The nodes of a text in their order; raises Lark's UnexpectedInput before the first.

    The spans count from `offset`: where `source` begins in a larger text.
    """
    from lark import Token

    for child in load("modelfile", positions=False).parse(source).children:
        if not isinstance(child, Token):
            yield _instruction(child, offset)
        elif child.type == "COMMENT":
            yield Comment(str(child), _span(child, offset))
        elif child.type == "NEWLINE":
            yield Break(str(child), _span(child, offset))


def _instruction(node: "Tree[Token]", offset: int) -> Instruction:
    children = cast("list[Token]", node.children)
    tokens = {token.type: token for token in children}
    keyword = children[0]
    word = tokens.get("NAME") or tokens.get("ROLE")
    kind = next((kind for kind in _QUOTES if kind in tokens), None)
    last = tokens[kind] if kind else children[-1]
    return Instruction(
        keyword.type,
        Span(_span(keyword, offset).start, _span(last, offset).end),
        str(tokens[kind]) if kind else "",
        _QUOTES[kind] if kind else "",
        str(word or ""),
        _span(word, offset) if word else None,
    )


def _span(token: "Token", offset: int) -> Span:
    start = offset + (token.start_pos or 0)
    return Span(start, start + len(token))
