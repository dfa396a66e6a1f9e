"""The tree of a Go template; every node knows where it stands in the source."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Node:
    """Offsets `start` and `end` into the source; `line` and `column` of the start, from 1."""

    start: int
    end: int
    line: int
    column: int

    def children(self) -> "Iterator[Node]":
        """The nodes directly inside this one, in the order of the source."""
        yield from ()

    def walk(self) -> "Iterator[Node]":
        """This node and all inside it, in the order of the source."""
        waiting: list[Node] = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(list(node.children())))


# ---- Operands ----


@dataclass(slots=True, eq=False)
class Dot(Node):
    """`.`"""


@dataclass(slots=True, eq=False)
class Nil(Node):
    """`nil`"""


@dataclass(slots=True, eq=False)
class Literal(Node):
    """`true`, `"text"`, `1.5`, `'a'`; `value` is None for an integer too large for Go's int."""

    value: bool | int | float | complex | str | None
    text: str


@dataclass(slots=True, eq=False)
class Field(Node):
    """`.Message.Role`: fields of dot."""

    names: list[str]


@dataclass(slots=True, eq=False)
class Variable(Node):
    """`$`, `$x` or `$x.Role`; `name` keeps its `$`."""

    name: str
    fields: list[str]


@dataclass(slots=True, eq=False)
class Identifier(Node):
    """The name of a function."""

    name: str


@dataclass(slots=True, eq=False)
class Chain(Node):
    """`(index .Messages 0).Role`: fields of a pipeline's or a function's value."""

    operand: "Identifier | Pipeline"
    fields: list[str]

    def children(self) -> Iterator[Node]:
        yield self.operand


# ---- Pipelines ----


@dataclass(slots=True, eq=False)
class Command(Node):
    """One stage of a pipeline: a function or a value, then arguments."""

    arguments: list[Node]

    def children(self) -> Iterator[Node]:
        yield from self.arguments


@dataclass(slots=True, eq=False)
class Pipeline(Node):
    """Commands, and the variables that get their value: declared with `:=` or assigned with `=`."""

    variables: list[Variable]
    assigns: bool
    commands: list[Command]

    def children(self) -> Iterator[Node]:
        yield from self.variables
        yield from self.commands


# ---- What stands between texts ----


@dataclass(slots=True, eq=False)
class Text(Node):
    """Text outside actions, already trimmed as the actions beside it ask for."""

    text: str


@dataclass(slots=True, eq=False)
class Comment(Node):
    """`{{/* … */}}` with its delimiters."""

    text: str


@dataclass(slots=True, eq=False)
class Action(Node):
    """`{{ pipeline }}`: prints its value unless it sets variables."""

    pipeline: Pipeline

    def children(self) -> Iterator[Node]:
        yield self.pipeline


@dataclass(slots=True, eq=False)
class Body(Node):
    """What a template, a branch or a loop holds."""

    items: list[Node]

    def children(self) -> Iterator[Node]:
        yield from self.items


@dataclass(slots=True, eq=False)
class Branch(Node):
    """A condition and what it guards, of an `if`, an `else if`, a `with` or an `else with`."""

    pipeline: Pipeline
    body: Body

    def children(self) -> Iterator[Node]:
        yield self.pipeline
        yield self.body


@dataclass(slots=True, eq=False)
class _Choice(Node):
    branches: list[Branch]
    otherwise: Body | None

    def children(self) -> Iterator[Node]:
        yield from self.branches
        if self.otherwise:
            yield self.otherwise


@dataclass(slots=True, eq=False)
class If(_Choice):
    """`{{if}}` with all its `{{else if}}` and `{{else}}`."""


@dataclass(slots=True, eq=False)
class With(_Choice):
    """`{{with}}` with all its `{{else with}}` and `{{else}}`."""


@dataclass(slots=True, eq=False)
class Range(Node):
    """`{{range}}`; `otherwise` is what stands for an empty list."""

    pipeline: Pipeline
    body: Body
    otherwise: Body | None

    def children(self) -> Iterator[Node]:
        yield self.pipeline
        yield self.body
        if self.otherwise:
            yield self.otherwise


@dataclass(slots=True, eq=False)
class Break(Node):
    """`{{break}}`"""


@dataclass(slots=True, eq=False)
class Continue(Node):
    """`{{continue}}`"""


@dataclass(slots=True, eq=False)
class TemplateCall(Node):
    """`{{template "name" pipeline}}`"""

    name: str
    pipeline: Pipeline | None

    def children(self) -> Iterator[Node]:
        if self.pipeline:
            yield self.pipeline


@dataclass(slots=True, eq=False)
class Define(Node):
    """`{{define "name"}}`; prints nothing where it stands."""

    name: str
    body: Body

    def children(self) -> Iterator[Node]:
        yield self.body


@dataclass(slots=True, eq=False)
class Block(Node):
    """`{{block "name" pipeline}}`: a definition and its call in one."""

    name: str
    pipeline: Pipeline
    body: Body

    def children(self) -> Iterator[Node]:
        yield self.pipeline
        yield self.body
