"""One run of a template: what was printed so far, the variables, and how much more it may do."""

from dataclasses import dataclass
from typing import NoReturn

from modelkit.errors import TemplateError
from modelkit.templates.go.tree import Node
from modelkit.templates.go.values import INVALID


@dataclass(frozen=True)
class Limits:
    """How much one rendering may do before it ends with a TemplateError.

    `output` counts characters; `depth` templates that call templates; `steps` nodes evaluated,
    plus one for each 8 characters of long texts that functions take or make.
    """

    output: int = 16 << 20
    depth: int = 64
    steps: int = 500_000


class Break(Exception):
    """`{{break}}`: leaves the loop around it."""


class Continue(Exception):
    """`{{continue}}`: goes on with the next element."""


class State:
    """The run; `undo` remembers what each declaration hid, until its scope ends."""

    __slots__ = ("depth", "out", "room", "steps", "undo", "variables")

    def __init__(self, limits: Limits, data: object) -> None:
        self.out: list[str] = []
        self.room = limits.output
        self.steps = limits.steps
        self.depth = limits.depth
        self.variables: dict[str, object] = {"$": data}
        self.undo: list[tuple[str, object]] = []

    def declare(self, name: str, value: object) -> None:
        """`$x := value`"""
        self.undo.append((name, self.variables.get(name, UNSET)))
        self.variables[name] = value

    def unwind(self, mark: int) -> None:
        """Forget the declarations made since `undo` was `mark` long."""
        undo = self.undo
        while len(undo) > mark:
            name, value = undo.pop()
            if value is UNSET:
                del self.variables[name]
            else:
                self.variables[name] = value

    def spend(self, steps: int, node: Node) -> None:
        """Take from the budget of steps; raises TemplateError when it is used up."""
        self.steps -= steps
        if self.steps < 0:
            fail(node, "the template does too much work", hint=_HINT)

    def print(self, text: str, node: Node) -> None:
        """Add to the output; raises TemplateError when it gets too long."""
        self.room -= len(text)
        if self.room < 0:
            fail(node, "the template makes too long a text", hint=_HINT)
        self.out.append(text)


UNSET = object()
_HINT = "a loop may run over too much; the limits protect the server from a stranger's template"


def fail(node: Node, message: str, hint: str | None = None) -> NoReturn:
    """Raise TemplateError for what went wrong at `node`."""
    raise TemplateError(message, stage="execute", line=node.line, column=node.column, hint=hint)


def settled(value: object) -> object:
    """A command's value as the next command sees it: nil out of a map or list is absent."""
    return INVALID if value is None else value
