"""The Modelfile: text or bytes in, commands out, and back to text that means the same."""

import codecs
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from modelkit.errors import ModelfileError, UsageError
from modelkit.grammar.errors import MISTAKES, ROLES, Fault, counted_line, explain
from modelkit.grammar.positions import Lines
from modelkit.syntax import Instruction, Node, read_nodes

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
        source = decode(text, filename) if isinstance(text, bytes) else text.removeprefix("\ufeff")
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


def parse_nodes(source: str, filename: str = "Modelfile") -> list[Node]:
    """A Modelfile as it is written, comments and layout included; raises ModelfileError."""
    reader = _Reader(source, filename)
    reader.read()
    return reader.nodes


class _Reader:
    """Walks the tree of one Modelfile."""

    def __init__(self, source: str, filename: str) -> None:
        self.source = source
        self.filename = filename
        self.lines = Lines(source)
        self.warnings: list[str] = []

    def read(self) -> Modelfile:
        instructions = (node for node in self.nodes if isinstance(node, Instruction))
        commands = tuple(self._command(node) for node in instructions)
        if not any(command.name == "model" for command in commands):
            raise self._error(MISTAKES["no FROM"].at(len(self.source)))
        return Modelfile(commands, self.filename, self.source, tuple(self.warnings))

    @cached_property
    def nodes(self) -> list[Node]:
        from lark.exceptions import UnexpectedInput

        try:
            return list(read_nodes(self.source))
        except UnexpectedInput as error:
            raise self._error(explain(error, self.source)) from None

    def _command(self, node: Instruction) -> Command:
        fault = command_fault(node, self.source)
        if fault:
            raise self._error(fault)
        line, column = self.lines.at(node.span.start)
        odd = dropped_space(node)
        if odd:
            self.warnings.append(
                f"line {line}: {_code_point(odd[0])}, a kind of space, is dropped from the value;"
                " put the value in quotes to keep it"
            )
        name, value = meaning(node)
        return Command(name, value, line, column)

    def _error(self, fault: Fault) -> ModelfileError:
        return _error_at(fault, self.lines, self.filename)


def meaning(node: Instruction) -> tuple[str, str]:
    """The name and the value of the command that an instruction is."""
    value = node.text if node.quote else _ODD_SPACE.sub("", node.text)
    match node.keyword:
        case "MESSAGE":
            return "message", f"{node.word}: {value}"
        case "PARAMETER":
            return node.word, value
        case keyword:
            return _NAMES[keyword], value


def dropped_space(node: Instruction) -> re.Match[str] | None:
    """The first space in the value's text that is not kept."""
    return None if node.quote else _ODD_SPACE.search(node.text)


def command_fault(node: Instruction, source: str) -> Fault | None:
    """What the grammar allows and a command does not: a reserved name, a control character."""
    if node.word_span and node.keyword == "PARAMETER" and node.word in _KEYWORDS:
        mistake, instruction = MISTAKES["reserved parameter name"], _KEYWORDS[node.word]
        return mistake.at(node.word_span.start, word=node.word, instruction=instruction)
    forbidden = _FORBIDDEN.search(source, node.span.start, node.line_end(source))
    if forbidden:
        offset, character = forbidden.start(), _code_point(forbidden[0])
        line = counted_line(source, offset)
        return MISTAKES["control character"].at(offset, line=line, character=character)
    return None


def byte_order_mark(data: bytes) -> tuple[bytes, str]:
    """The mark that `data` begins with, maybe empty, and the encoding it announces."""
    return next((bom for bom in _BOMS if data.startswith(bom[0])), (b"", "utf-8"))


def decode(data: bytes, filename: str) -> str:
    """The text of a Modelfile, without its byte order mark; raises ModelfileError."""
    mark, encoding = byte_order_mark(data)
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


def needs_quotes(value: str) -> bool:
    """Whether a bare `value` would be read back as something else."""
    return not _BARE.fullmatch(value) or bool(_ODD_SPACE.search(value))


def _quote(value: str) -> str:
    """`value` as the grammar's BARE where that keeps it whole, else in quotes."""
    if not needs_quotes(value):
        return value
    return f'"""{value}"""' if '"' in value else f'"{value}"'


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"
