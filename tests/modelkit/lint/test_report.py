"""What the linter prints: text, JSON, and SARIF by its schema."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from modelkit.lint import lint
from modelkit.lint.report import MAX_WIDTH, json_report, text_report
from modelkit.lint.rules import codes
from modelkit.lint.sarif import sarif_report
from tests.modelkit.lint.samples import read

SCHEMA = json.loads(Path(__file__).with_name("sarif_subset.schema.json").read_text())
TEXT = "FROM a\nPARAMETER mirostat 1\nPARAMETER top_p 9\n"


def sarif(text: str, name: str = "Modelfile") -> dict[str, Any]:
    return sarif_report(lint(text, name), {name: text})


def test_text_shows_place_code_line_and_carets() -> None:
    assert text_report(lint(TEXT), {"Modelfile": TEXT}) == (
        "Modelfile:2:11: warning MK104 [*] parameter mirostat is deprecated and has no effect"
        " (deprecated-parameter)\n"
        "  |\n"
        "2 | PARAMETER mirostat 1\n"
        "  |           ^^^^^^^^\n"
        "  = remove the line\n"
        "\n"
        "Modelfile:3:17: warning MK103 top_p 9 is out of range: it goes from 0 to 1"
        " (parameter-out-of-range)\n"
        "  |\n"
        "3 | PARAMETER top_p 9\n"
        "  |                 ^\n"
        "  = a probability\n"
    )


def test_a_long_line_is_cut_around_the_place() -> None:
    text = f"FROM a\nSYSTEM {'x' * 500}\u00a0{'y' * 500}\n"
    lines = text_report(lint(text), {"Modelfile": text}).splitlines()
    assert max(map(len, lines[1:-1])) < MAX_WIDTH + 10
    assert lines[2][lines[3].index("^")] == "\u00a0"


def test_control_characters_do_not_reach_the_terminal() -> None:
    text = "FROM a\nSYSTEM \x1b[31mred\n"
    assert "\x1b" not in text_report(lint(text), {"Modelfile": text})


def test_json_has_places_and_edits() -> None:
    first = json_report(lint(TEXT))[0]
    assert first == {
        "file": "Modelfile",
        "code": "MK104",
        "rule": "deprecated-parameter",
        "severity": "warning",
        "message": "parameter mirostat is deprecated and has no effect",
        "hint": "remove the line",
        "start": {"line": 2, "column": 11},
        "end": {"line": 2, "column": 19},
        "fix": {"title": "Remove the line", "edits": [{"start": 7, "end": 28, "text": ""}]},
    }


@pytest.mark.parametrize("code", codes())
def test_sarif_keeps_to_its_schema(code: str) -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(sarif(read(code, "bad")))


def test_the_schema_refuses_what_is_no_sarif() -> None:
    validator = jsonschema.Draft7Validator(SCHEMA)
    for path, value in (
        (["version"], "2.0.0"),
        (["runs", 0, "results", 0, "level"], "fatal"),
        (["runs", 0, "results", 0, "message"], {}),
        (["runs", 0, "results", 0, "locations", 0, "physicalLocation", "region", "startLine"], 0),
        (["runs", 0, "tool", "driver", "name"], None),
        (["runs", 0, "columnKind"], "bytes"),
        (["runs", 0, "results", 0, "surplus"], 1),
    ):
        report: Any = sarif(TEXT)
        place = report
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        assert not validator.is_valid(report), path


def test_sarif_names_the_rule_the_place_and_the_fix() -> None:
    run = sarif(TEXT, "models/my Modelfile")["runs"][0]
    result = run["results"][0]
    location = result["locations"][0]["physicalLocation"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "MK104"
    assert location["artifactLocation"] == {"uri": "models/my%20Modelfile"}
    assert location["region"] == {"startLine": 2, "startColumn": 11, "endLine": 2, "endColumn": 19}
    replacement = result["fixes"][0]["artifactChanges"][0]["replacements"][0]
    assert replacement["insertedContent"] == {"text": ""}
    assert replacement["deletedRegion"]["endLine"] == 3
    assert "fixes" not in run["results"][1]


def test_a_clean_file_is_a_run_without_results() -> None:
    report = sarif("FROM a\n")
    jsonschema.Draft7Validator(SCHEMA).validate(report)
    assert report["runs"][0]["results"] == []
