"""The Modelfile: text or bytes in, commands out, and back to text that means the same."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from modelkit.errors import ModelfileError, UsageError
from modelkit.grammar import load
from modelkit.grammar.errors import MISTAKES, ROLES, Fault, counted_line, explain
from modelkit.grammar.positions import Lines

if TYPE_CHECKING:
    from lark import Token, Tree

# FROM is called "model", as in the reference; a parameter goes by its own name.
_KEYWORDS = {
    "model": "FROM",
    "adapter": "ADAPTER",
    "draft": "DRAFT",
    "template": "TEMPLATE",
    "system": "SYSTEM",
    "license": "LICENSE",
    "renderer": "RENDERER",
    "parser": "PARSER",
    "requires": "REQUIRES",
    "message": "MESSAGE",
}
_NAMES = {keyword: name for name, keyword in _KEYWORDS.items()}

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_PARAMETER_NAME = re.compile(r"[A-Za-z0-9_]*")
_BARE = re.compile(r'(?!")\S([^\r\n]*\S)?')
# Control characters other than tab and line ends, and halves of surrogate pairs.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# Spaces other than the plain one: the reference drops them from a value. Quotes keep them here.
_ODD_SPACE = re.compile(r"[^\S \t\r\n]")
# Three quotes at the end of a line that is not the last: no kind of quote can hold that.
_CLOSES_EARLY = re.compile(r'"""[^\S\r\n]*[\r\n]')


@dataclass(frozen=True)
class Command:
    """One instruction: its name (`model` for FROM, a parameter's own name) and its value.

    The value of a message is `role: text`. `line` and `column` say where the instruction starts,
    from 1, and are 0 in a command that was not parsed; they do not take part in comparisons.
    Raises UsageError for a command that no Modelfile can express.
    """

    name: str
    value: str
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if not _PARAMETER_NAME.fullmatch(self.name):
            raise UsageError(f"{self.name!r} cannot be a parameter name in a Modelfile")
        if self.name == "message" and self.value.partition(": ")[0] not in ROLES:
            raise UsageError(
                "a message has no role", hint="write its value as `role: text`, e.g. `user: hi`"
            )
        forbidden = _FORBIDDEN.search(self.value)
        if forbidden:
            raise UsageError(
                f"{self.name}: a Modelfile value cannot contain {_code_point(forbidden[0])}"
            )
        if _CLOSES_EARLY.search(self.value):
            raise UsageError(
                f'{self.name}: a Modelfile value cannot contain a line that ends in """',
                hint='end the line with something else, for example a space and a dot after """',
            )

    def __str__(self) -> str:
        """The instruction as it stands in a Modelfile, without the line end."""
        if self.name == "message":
            role, _, text = self.value.partition(": ")
            return f"MESSAGE {role} {_quote(text)}"
        keyword = _KEYWORDS.get(self.name) or f"PARAMETER {self.name}"
        return f"{keyword} {_quote(self.value)}"


@dataclass(frozen=True)
class Modelfile:
    """The commands of a Modelfile in their order, and where they came from."""

    commands: tuple[Command, ...]
    filename: str = field(default="Modelfile", compare=False)
    source: str = field(default="", compare=False, repr=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def parse(cls, text: str | bytes, filename: str = "Modelfile") -> "Modelfile":
        """Read a Modelfile; raises ModelfileError for anything that is not one.

        Bytes are UTF-8, or what their byte order mark says (UTF-8, UTF-16LE, UTF-16BE).
        """
        source = _decode(text, filename) if isinstance(text, bytes) else text.removeprefix("\ufeff")
        return _Reader(source, filename).read()

    def __str__(self) -> str:
        """A Modelfile with these commands, one after the other; it parses back to them."""
        return "".join(f"{command}\n" for command in self.commands)

    def error(self, message: str, command: Command, hint: str | None = None) -> ModelfileError:
        """An error that points at `command`."""
        known = bool(self.source and command.line)
        return ModelfileError(
            message,
            line=command.line,
            column=command.column,
            filename=self.filename,
            source_line=Lines(self.source).text(command.line) if known else str(command),
            hint=hint,
        )


class _Reader:
    """Walks the tree of one Modelfile."""

    def __init__(self, source: str, filename: str) -> None:
        self.source = source
        self.filename = filename
        self.lines = Lines(source)
        self.warnings: list[str] = []

    def read(self) -> Modelfile:
        commands = tuple(self._command(node) for node in self._instructions())
        if not any(command.name == "model" for command in commands):
            raise self._error(MISTAKES["no FROM"].at(len(self.source)))
        return Modelfile(commands, self.filename, self.source, tuple(self.warnings))

    def _instructions(self) -> "Iterator[Tree[Token]]":
        from lark import Tree
        from lark.exceptions import UnexpectedInput

        try:
            tree = load("modelfile").parse(self.source)
        except UnexpectedInput as error:
            raise self._error(explain(error, self.source)) from None
        return (node for node in tree.children if isinstance(node, Tree))

    def _command(self, node: "Tree[Token]") -> Command:
        children = cast("list[Token]", node.children)
        first, tokens = children[0], {token.type: token for token in children}
        line, column = self.lines.at(_offset(first))
        value = self._value(tokens, line)
        if node.data == "message":
            return Command("message", f"{tokens['ROLE']}: {value}", line, column)
        if node.data == "parameter":
            return Command(self._parameter_name(tokens), value, line, column)
        return Command(_NAMES[first.type], value, line, column)

    def _parameter_name(self, tokens: "dict[str, Token]") -> str:
        """The name of a PARAMETER; a command's name must not become a second way to write it."""
        name = tokens.get("NAME")
        if name is not None and name in _KEYWORDS:
            instruction = _KEYWORDS[name]
            mistake = MISTAKES["reserved parameter name"]
            raise self._error(mistake.at(_offset(name), word=name, instruction=instruction))
        return str(name or "")

    def _value(self, tokens: "dict[str, Token]", line: int) -> str:
        for token in tokens.values():
            self._refuse_control_characters(token)
        if "TRIPLE" in tokens:
            return tokens["TRIPLE"][3:-3]
        if "QUOTED" in tokens:
            return tokens["QUOTED"][1:-1]
        value = str(tokens.get("BARE", ""))
        odd = _ODD_SPACE.search(value)
        if odd:
            self.warnings.append(
                f"line {line}: {_code_point(odd[0])}, a kind of space, is dropped from the value;"
                " put the value in quotes to keep it"
            )
        return _ODD_SPACE.sub("", value)

    def _refuse_control_characters(self, token: "Token") -> None:
        forbidden = _FORBIDDEN.search(token)
        if forbidden:
            offset = _offset(token) + forbidden.start()
            line = counted_line(self.source, offset)
            mistake = MISTAKES["control character"]
            raise self._error(mistake.at(offset, line=line, character=_code_point(forbidden[0])))

    def _error(self, fault: Fault) -> ModelfileError:
        return _error_at(fault, self.lines, self.filename)


def _decode(data: bytes, filename: str) -> str:
    mark, encoding = next((bom for bom in _BOMS if data.startswith(bom[0])), (b"", "utf-8"))
    body = data[len(mark) :]
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        before = body[: error.start].decode(encoding)
        offset = len(before)
        fields: dict[str, Any] = {"line": counted_line(before, offset), "encoding": encoding}
        fault = MISTAKES["not UTF-8"].at(offset, **fields)
        raise _error_at(fault, Lines(before), filename) from None


def _error_at(fault: Fault, lines: Lines, filename: str) -> ModelfileError:
    line, column = lines.at(fault.offset)
    return ModelfileError(
        fault.message,
        line=line,
        column=column,
        filename=filename,
        source_line=lines.text(line),
        hint=fault.hint,
    )


def _quote(value: str) -> str:
    """`value` as the grammar's BARE where that keeps it whole, else in quotes."""
    if _BARE.fullmatch(value) and not _ODD_SPACE.search(value):
        return value
    return f'"""{value}"""' if '"' in value else f'"{value}"'


def _offset(token: "Token") -> int:
    return token.start_pos or 0


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"
