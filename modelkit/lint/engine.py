"""Running the rules over a Modelfile, and mending what they know how to mend."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from modelkit.errors import ModelfileError
from modelkit.lint.config import Config
from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Diagnostic, Edit, Finding, Position
from modelkit.lint.document import Document
from modelkit.lint.ignores import SYNTAX_ERROR, Ignores
from modelkit.lint.rules import Rule, all_rules
from modelkit.syntax import Span

UNUSED_IGNORE = "MK012"
_MAX_ROUNDS = 10


def lint(
    text: str, filename: str = "Modelfile", *, config: Config | None = None, folder: Path = Path()
) -> list[Diagnostic]:
    """What is wrong with a Modelfile, in the order of the text; never raises for what it holds.

    Relative paths in the Modelfile start in `folder`.
    """
    config = config or Config()
    document = Document(text, filename)
    ignores = Ignores(document)
    rules = [rule for rule in all_rules() if _runs(rule, config)]
    context = Context(document, folder, config.locked, frozenset(rule.code for rule in rules))
    found = _run(context, [rule for rule in rules if rule.code != UNUSED_IGNORE])
    found = ignores.silence(found)
    # Only now is it known which comments were of use.
    informed = replace(context, ignores=tuple(ignores.all))
    late = _run(informed, [rule for rule in rules if rule.code == UNUSED_IGNORE])
    found += ignores.silence(late)
    return sorted(found, key=lambda item: (item.start, item.code, item.end))


def undecodable(error: ModelfileError) -> Diagnostic:
    """The syntax error of bytes that are no text, as if the lines before it were empty."""
    rule = next(rule for rule in all_rules() if rule.code == SYNTAX_ERROR)
    place, offset = Position(error.line, error.column), error.line + error.column - 2
    return Diagnostic(
        code=rule.code,
        rule=rule.name,
        severity=rule.severity,
        message=error.message,
        hint=error.hint,
        filename=error.filename,
        start=place,
        end=place,
        span=Span(offset, offset),
    )


@dataclass(frozen=True)
class Fixed:
    """A text after its fixes, how many were made, and what is left to say about it."""

    text: str
    count: int
    remaining: list[Diagnostic]


def fix(
    text: str, filename: str = "Modelfile", *, config: Config | None = None, folder: Path = Path()
) -> Fixed:
    """Mend what can be mended: fix after fix, until none is left."""
    count = 0
    for _ in range(_MAX_ROUNDS):
        found = lint(text, filename, config=config, folder=folder)
        edits = list(_compatible(found))
        if not edits:
            break
        count += len(edits)
        text = apply(text, (edit for group in edits for edit in group))
    else:
        found = lint(text, filename, config=config, folder=folder)
    return Fixed(text, count, found)


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text after edits that do not overlap."""
    pieces, done = [], 0
    for edit in sorted(edits, key=lambda edit: edit.span.start):
        pieces += [text[done : edit.span.start], edit.text]
        done = edit.span.end
    return "".join([*pieces, text[done:]])


def _runs(rule: Rule, config: Config) -> bool:
    """What does not parse is always said: nothing else can be relied upon."""
    return config.enabled(rule.code) or rule.code == SYNTAX_ERROR


def _run(context: Context, rules: Iterable[Rule]) -> list[Diagnostic]:
    return [
        _diagnostic(context.document, rule, finding)
        for rule in rules
        for finding in rule.check(context)
    ]


def _diagnostic(document: Document, rule: Rule, finding: Finding) -> Diagnostic:
    return Diagnostic(
        code=rule.code,
        rule=rule.name,
        severity=rule.severity,
        message=finding.message,
        hint=finding.hint,
        filename=document.filename,
        start=document.position(finding.span.start),
        end=document.position(finding.span.end),
        span=finding.span,
        fix=finding.fix,
    )


def _compatible(diagnostics: Iterable[Diagnostic]) -> Iterator[tuple[Edit, ...]]:
    """The edits of each fix, those fixes left out that touch what an earlier one changes."""
    end = -1
    fixes = [item.fix.edits for item in diagnostics if item.fix]
    for edits in sorted(fixes, key=lambda edits: min(edit.span.start for edit in edits)):
        if min(edit.span.start for edit in edits) > end:
            end = max(edit.span.end for edit in edits)
            yield edits
