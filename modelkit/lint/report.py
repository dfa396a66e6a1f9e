"""Diagnostics as text with the source line, and as JSON."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from modelkit.grammar.positions import Lines
from modelkit.lint.diagnostic import Diagnostic

MAX_WIDTH = 120
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def text_report(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> str:
    """One block a diagnostic: place, code, message, the line with carets, the hint.

    `sources` holds the text of each file by its name.
    """
    lines = {name: Lines(text) for name, text in sources.items()}
    return "\n".join(_block(item, lines[item.filename]) for item in diagnostics)


def json_report(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """One object a diagnostic; lines and columns count from 1, offsets from 0."""
    return [_json(item) for item in diagnostics]


def _block(item: Diagnostic, lines: Lines) -> str:
    place = f"{item.filename}:{item.start.line}:{item.start.column}"
    star = " [*]" if item.fix else ""
    out = [f"{place}: {item.severity} {item.code}{star} {item.message} ({item.rule})"]
    out += _excerpt(item, lines.text(item.start.line))
    if item.hint:
        out.append(f"{' ' * len(str(item.start.line))} = {item.hint}")
    return "\n".join(out) + "\n"


def _excerpt(item: Diagnostic, line: str) -> list[str]:
    """The line and the carets below it; a long line is cut around the place."""
    start = item.start.column - 1
    end = item.end.column - 1 if item.end.line == item.start.line else len(line)
    cut = max(0, start - MAX_WIDTH // 2)
    shown = line[cut : cut + MAX_WIDTH]
    before = "…" if cut else ""
    number = str(item.start.line)
    carets = max(1, min(end, cut + MAX_WIDTH) - start)
    return [
        f"{' ' * len(number)} |",
        f"{number} | {before}{_UNPRINTABLE.sub(' ', shown)}",
        f"{' ' * len(number)} | {' ' * (len(before) + start - cut)}{'^' * carets}",
    ]


def _json(item: Diagnostic) -> dict[str, Any]:
    fix = item.fix and {
        "title": item.fix.title,
        "edits": [
            {"start": edit.span.start, "end": edit.span.end, "text": edit.text}
            for edit in item.fix.edits
        ],
    }
    return {
        "file": item.filename,
        "code": item.code,
        "rule": item.rule,
        "severity": str(item.severity),
        "message": item.message,
        "hint": item.hint,
        "start": {"line": item.start.line, "column": item.start.column},
        "end": {"line": item.end.line, "column": item.end.column},
        "fix": fix,
    }
