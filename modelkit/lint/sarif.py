"""Diagnostics as SARIF 2.1.0, the format that code hosts read."""

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from modelkit.grammar.positions import Lines
from modelkit.lint.diagnostic import Diagnostic, Fix
from modelkit.lint.rules import Rule, all_rules, codes
from modelkit.syntax import Span
from modelkit.version import __version__

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif_report(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> dict[str, Any]:
    """One run with all rules and one result a diagnostic; columns count code points."""
    lines = {name: Lines(text) for name, text in sources.items()}
    run = {
        "tool": {
            "driver": {
                "name": "modelkit lint",
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in all_rules()],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(item, lines[item.filename]) for item in diagnostics],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": f"{rule.summary}."},
        "fullDescription": {"text": rule.documentation, "markdown": rule.documentation},
        "defaultConfiguration": {"level": str(rule.severity)},
    }


def _result(item: Diagnostic, lines: Lines) -> dict[str, Any]:
    message = f"{item.message}; {item.hint}" if item.hint else item.message
    result: dict[str, Any] = {
        "ruleId": item.code,
        "ruleIndex": codes().index(item.code),
        "level": str(item.severity),
        "message": {"text": message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(item.filename)},
                    "region": _region(lines, item.span),
                }
            }
        ],
    }
    if item.fix:
        result["fixes"] = [_fix(item.filename, item.fix, lines)]
    return result


def _fix(filename: str, fix: Fix, lines: Lines) -> dict[str, Any]:
    replacements = [
        {"deletedRegion": _region(lines, edit.span), "insertedContent": {"text": edit.text}}
        for edit in fix.edits
    ]
    change = {"artifactLocation": {"uri": _uri(filename)}, "replacements": replacements}
    return {"description": {"text": fix.title}, "artifactChanges": [change]}


def _region(lines: Lines, span: Span) -> dict[str, int]:
    (line, column), (end_line, end_column) = lines.at(span.start), lines.at(span.end)
    return {
        "startLine": line,
        "startColumn": column,
        "endLine": end_line,
        "endColumn": end_column,
    }


def _uri(filename: str) -> str:
    path = PurePath(filename)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
