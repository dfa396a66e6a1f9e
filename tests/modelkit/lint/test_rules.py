"""Every rule against its fixtures, its documentation, and Modelfiles known to be good."""

import re
from pathlib import Path

import pytest

from modelkit.lint import Config, Severity, lint
from modelkit.lint.rules import Rule, all_rules, codes
from modelkit.modelfile import decode
from tests.modelkit.lint.samples import FIXTURES, config, examples, fixed, read, report

ROOT = Path(__file__).parents[3]
BAD = [
    file
    for file in sorted((ROOT / "fixtures" / "modelfiles" / "bad").glob("*.Modelfile"))
    if file.stem != "latin-1"
]
FAMILIES = sorted((ROOT / "fixtures" / "templates").glob("*.gotmpl"))
HEADINGS = ["What it does", "Why is this bad", "Example", "Use instead", "Fix"]
MENDED = [code for code in codes() if (FIXTURES / code / "fixed.Modelfile").exists()]

by_code = pytest.mark.parametrize("code", codes())
by_rule = pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)


@by_code
def test_a_bad_fixture_gets_the_report_beside_it(code: str, folder: Path) -> None:
    expected = (FIXTURES / code / "expected.txt").read_text()
    assert report(code, "bad", folder) == expected
    assert code in expected


@by_code
def test_a_good_fixture_gets_no_report(code: str, folder: Path) -> None:
    assert report(code, "good", folder) == ""


@pytest.mark.parametrize("code", MENDED)
def test_fixing_a_bad_fixture_gives_the_file_beside_it(code: str, folder: Path) -> None:
    assert fixed(code, folder) == read(code, "fixed")


def test_a_rule_says_in_its_documentation_whether_it_mends() -> None:
    promised = [rule.code for rule in all_rules() if "\nSafe" in rule.documentation]
    assert promised == MENDED


@by_rule
def test_the_documentation_has_its_headings(rule: Rule) -> None:
    lines = rule.documentation.splitlines()
    assert [line[3:] for line in lines if line.startswith("## ")] == HEADINGS
    assert rule.summary
    assert lines[1] == ""
    assert rule.documentation.endswith("\n")


@by_rule
def test_the_examples_of_the_documentation_are_bad_and_good(rule: Rule, folder: Path) -> None:
    bad, good = examples(rule)
    every_rule = Config(locked=config(rule.code).locked)
    found = lint(bad, config=every_rule, folder=folder)
    assert rule.code in {item.code for item in found}
    assert lint(good, config=every_rule, folder=folder) == []


@pytest.mark.parametrize("file", FAMILIES, ids=lambda file: file.stem)
def test_the_templates_of_known_families_have_no_mistake(file: Path) -> None:
    text = (
        f'FROM a\nSYSTEM s\nMESSAGE user q\nMESSAGE assistant a\nTEMPLATE """{file.read_text()}"""'
    )
    found = {item.code for item in lint(text)}
    # Stop texts are a matter of the Modelfile, and this one has none.
    assert found <= {"MK205"}


@pytest.mark.parametrize("name", ["minimal", "chat-assistant", "few-shot", "crlf", "utf16le"])
def test_a_good_modelfile_is_clean(name: str) -> None:
    file = ROOT / "fixtures" / "modelfiles" / "good" / f"{name}.Modelfile"
    assert lint(decode(file.read_bytes(), name)) == []


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_modelfile_that_cannot_be_built_has_an_error_at_that_place(file: Path) -> None:
    text = decode(file.read_bytes(), file.name)
    place = re.match(r"\W+(\d+):(\d+)", text.replace("\0", ""))
    assert place
    found = lint(text, file.name, folder=file.parent)
    errors = [item for item in found if item.severity == Severity.ERROR]
    # The compiler points at the instruction, a rule at the part of it that is wrong.
    assert int(place[1]) in {item.start.line for item in errors}
