"""From the source of a template to its tree, with Lark: nodes are made while it parses."""

from functools import cache
from itertools import pairwise
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput

from modelkit.errors import TemplateError
from modelkit.grammar.errors import Fault
from modelkit.grammar.gotemplate import MISTAKES, explain
from modelkit.grammar.positions import Lines
from modelkit.templates.go import tree
from modelkit.templates.go.numbers import parse_number
from modelkit.templates.go.quoting import unquote, unquote_char

# Far more than any real template has; it keeps the time that a hostile one takes short.
MAX_TOKENS = 30_000

_BLANKS = " \t\r\n"


def parse(source: str) -> tree.Body:
    """The tree of a whole template; raises TemplateError (stage parse)."""
    parser = _lark().parse_interactive(source)
    try:
        for count, _ in enumerate(parser.iter_parse()):
            if count > MAX_TOKENS:
                raise _Mistaken("too large", 0, limit=MAX_TOKENS)
        made: tree.Body = parser.feed_eof()  # type: ignore[no-untyped-call]
    except UnexpectedInput as error:
        raise error_at(explain(error, source), source) from None
    except _Mistaken as error:
        raise error_at(error.fault, source) from None
    return made


def error_at(fault: Fault, source: str) -> TemplateError:
    """A parse error that points at the fault."""
    line, column = Lines(source).at(fault.offset)
    return TemplateError(fault.message, stage="parse", line=line, column=column, hint=fault.hint)


@cache
def _lark() -> Lark:
    return Lark.open_from_package(
        "modelkit.grammar",
        "gotemplate.lark",
        parser="lalr",
        transformer=_Builder(),
        keep_all_tokens=True,
        maybe_placeholders=False,
    )


class _Mistaken(Exception):
    """A mistake that the grammar does not see."""

    def __init__(self, kind: str, offset: int, **fields: object) -> None:
        self.fault = MISTAKES[kind].at(offset, **fields)


# A rule's parts: nodes, and the tokens that were read between them.
_Parts = list[Any]


class _Builder(Transformer[Token, tree.Node]):
    """One method for each rule of the grammar."""

    # ---- Operands ----

    def term(self, parts: _Parts) -> tree.Node:
        part = parts[0]
        if not isinstance(part, Token):
            return part  # type: ignore[no-any-return]
        at = _at(part)
        match part.type:
            case "DOT":
                return tree.Dot(*at)
            case "NIL":
                return tree.Nil(*at)
            case "FIELD":
                return tree.Field(*at, [_name(part)[1:]])
            case "VARIABLE":
                return tree.Variable(*at, _name(part), [])
            case "NAME":
                return tree.Identifier(*at, _name(part))
            case _:
                return tree.Literal(*at, _literal(part), str(part))

    def chain(self, parts: _Parts) -> tree.Node:
        operand, fields = parts[0], parts[1:]
        names = [_name(field)[1:] for field in fields]
        operand.end = fields[-1].end_pos
        match operand:
            case tree.Field():
                operand.names += names
            case tree.Variable():
                operand.fields += names
            case tree.Identifier() | tree.Pipeline():
                at = (operand.start, operand.end, operand.line, operand.column)
                operand.end = fields[0].start_pos
                return tree.Chain(*at, operand, names)
            case _:
                term = getattr(operand, "text", "nil" if isinstance(operand, tree.Nil) else ".")
                raise _Mistaken("field of a literal", fields[0].start_pos or 0, term=term)
        return operand  # type: ignore[no-any-return]

    def paren(self, parts: _Parts) -> tree.Pipeline:
        opening, pipeline, closing = parts
        pipeline.start, pipeline.end = opening.start_pos, closing.end_pos
        pipeline.line, pipeline.column = opening.line, opening.column
        return pipeline  # type: ignore[no-any-return]

    # ---- Pipelines ----

    def command(self, parts: _Parts) -> tree.Command:
        arguments = parts[::2]
        return tree.Command(*_span(arguments[0], arguments[-1]), arguments)

    def pipeline(self, parts: _Parts) -> tree.Pipeline:
        commands = [part for part in parts if not isinstance(part, Token)]
        for stage, command in enumerate(commands[1:], start=2):
            if isinstance(command.arguments[0], tree.Literal | tree.Dot | tree.Nil):
                raise _Mistaken("value in a pipeline", command.start, stage=stage)
        if isinstance(parts[0], Token):
            variable = tree.Variable(*_at(parts[0]), _name(parts[0]), [])
            at = _span(variable, commands[-1])
            return tree.Pipeline(*at, [variable], parts[1].type == "ASSIGN", commands)
        return tree.Pipeline(*_span(commands[0], commands[-1]), [], False, commands)

    def pair(self, parts: _Parts) -> tree.Pipeline:
        first, _, pipeline = parts
        if not pipeline.variables and not isinstance(
            pipeline.commands[0].arguments[0], tree.Variable
        ):
            raise _Mistaken("loop over what", pipeline.start)
        variable = tree.Variable(*_at(first), _name(first), [])
        pipeline.variables.insert(0, variable)
        pipeline.start, pipeline.line, pipeline.column = (
            variable.start,
            variable.line,
            variable.column,
        )
        return pipeline  # type: ignore[no-any-return]

    # ---- Items ----

    def text(self, parts: _Parts) -> tree.Text:
        return tree.Text(*_at(parts[0]), str(parts[0]))

    def comment(self, parts: _Parts) -> tree.Comment:
        return tree.Comment(*_outer(parts[0], parts[0]), parts[0].strip(_BLANKS))

    def action(self, parts: _Parts) -> tree.Action:
        return tree.Action(*_outer(parts[0], parts[-1]), parts[1])

    def jump(self, parts: _Parts) -> tree.Break | tree.Continue:
        kind = tree.Break if parts[1].type == "BREAK" else tree.Continue
        return kind(*_outer(parts[0], parts[-1]))

    def call(self, parts: _Parts) -> tree.TemplateCall:
        pipeline = parts[-2] if isinstance(parts[-2], tree.Pipeline) else None
        return tree.TemplateCall(*_outer(parts[0], parts[-1]), _text(parts[2]), pipeline)

    def define(self, parts: _Parts) -> tree.Define:
        (body,) = _bodies(parts)
        return tree.Define(*_outer(parts[0], parts[-1]), _text(parts[2]), body)

    def block(self, parts: _Parts) -> tree.Block:
        (pipeline,), (body,) = _pipelines(parts), _bodies(parts)
        return tree.Block(*_outer(parts[0], parts[-1]), _text(parts[2]), pipeline, body)

    def if_block(self, parts: _Parts) -> tree.If:
        return tree.If(*_outer(parts[0], parts[-1]), *_branches(parts))

    def with_block(self, parts: _Parts) -> tree.With:
        return tree.With(*_outer(parts[0], parts[-1]), *_branches(parts))

    def range_block(self, parts: _Parts) -> tree.Range:
        (pipeline,), (body, *otherwise) = _pipelines(parts), _bodies(parts)
        at = _outer(parts[0], parts[-1])
        return tree.Range(*at, pipeline, body, otherwise[0] if otherwise else None)

    def body(self, parts: _Parts) -> tree.Body:
        # An empty body has no place of its own: its parent gives it one.
        at = _span(parts[0], parts[-1]) if parts else (-1, -1, 0, 0)
        return tree.Body(*at, parts)

    def start(self, parts: _Parts) -> tree.Body:
        end = parts[-1].end if parts else 0
        return tree.Body(0, end, 1, 1, parts)


_Place = tuple[int, int, int, int]


def _at(token: Token) -> _Place:
    return token.start_pos, token.end_pos, token.line, token.column  # type: ignore[return-value]


def _span(first: tree.Node, last: tree.Node) -> _Place:
    return first.start, last.end, first.line, first.column


def _outer(opening: Token, closing: Token) -> _Place:
    """From `{{` to `}}`, without the blanks that trim markers take along."""
    start, _, line, column = _at(opening)
    blanks = opening[: len(opening) - len(opening.lstrip(_BLANKS))]
    if blanks:
        start += len(blanks)
        line += blanks.count("\n")
        newline = blanks.rfind("\n")
        column = len(blanks) - newline if newline >= 0 else column + len(blanks)
    trailing = len(closing) - len(closing.rstrip(_BLANKS))
    return start, (closing.end_pos or 0) - trailing, line, column


def _name(token: Token) -> str:
    name = str(token)
    if not name.isascii() and not all(c.isalpha() or c.isdecimal() or c in "$._" for c in name):
        raise _Mistaken("bad name", token.start_pos or 0, name=name)
    return name


def _literal(token: Token) -> bool | int | float | complex | str | None:
    try:
        match token.type:
            case "BOOL":
                return str(token).startswith("t")
            case "NUMBER":
                return parse_number(token)
            case "CHAR":
                return unquote_char(token)
            case _:
                return unquote(token)
    except ValueError as error:
        raise _Mistaken("bad literal", token.start_pos or 0, reason=error) from None


def _text(token: Token) -> str:
    return str(_literal(token))


def _pipelines(parts: _Parts) -> list[tree.Pipeline]:
    return [part for part in parts if isinstance(part, tree.Pipeline)]


def _bodies(parts: _Parts) -> list[tree.Body]:
    bodies = []
    for before, part in pairwise(parts):
        if not isinstance(part, tree.Body):
            continue
        if not part.items:
            part.start = part.end = before.end_pos
            part.line, part.column = before.end_line, before.end_column
        bodies.append(part)
    return bodies


def _branches(parts: _Parts) -> tuple[list[tree.Branch], tree.Body | None]:
    bodies = _bodies(parts)
    branches = [
        tree.Branch(*_span(pipeline, body), pipeline, body)
        for pipeline, body in zip(_pipelines(parts), bodies, strict=False)
    ]
    return branches, bodies[-1] if len(bodies) > len(branches) else None
