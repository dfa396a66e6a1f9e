"""What a rule finds and what the linter says about it: places, severities, fixes."""

from dataclasses import dataclass
from enum import StrEnum

from modelkit.syntax import Span


class Severity(StrEnum):
    """How bad a finding is; an error is something that will not work."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Edit:
    """Replace the characters of `span` by `text`."""

    span: Span
    text: str


@dataclass(frozen=True)
class Fix:
    """A change that mends one finding and nothing else; `title` says what it does."""

    title: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class Finding:
    """What a rule reports; the engine knows which rule it was."""

    span: Span
    message: str
    hint: str | None = None
    fix: Fix | None = None


@dataclass(frozen=True, order=True)
class Position:
    """A line and a column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Diagnostic:
    """One finding as people and tools get it. `end` is the position behind the last character."""

    code: str
    rule: str
    severity: Severity
    message: str
    hint: str | None
    filename: str
    start: Position
    end: Position
    span: Span
    fix: Fix | None = None
