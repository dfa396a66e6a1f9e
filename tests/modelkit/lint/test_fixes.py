"""Fixes do what they say and nothing else, alone and together."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkit.errors import ModelfileError
from modelkit.lint import Config, Diagnostic, fix, lint
from modelkit.lint.engine import apply
from modelkit.modelfile import Command, Modelfile
from tests.grammar.strategies import MODELFILES
from tests.modelkit.lint.samples import FIXTURES, read

# What a fix may do to the commands: nothing, take one away, or change one.
UNCHANGED, REMOVED, CHANGED = "unchanged", "removed", "changed"
EFFECTS = {
    "MK002": CHANGED,
    "MK003": REMOVED,
    "MK004": REMOVED,
    "MK005": CHANGED,
    "MK006": CHANGED,
    "MK012": UNCHANGED,
    "MK101": CHANGED,
    "MK102": CHANGED,
    "MK104": REMOVED,
    "MK105": REMOVED,
    "MK106": REMOVED,
    "MK202": CHANGED,
}
_MISTAKES = [
    *("SYSTEM 'hi'", 'SYSTEM ""', "SYSTEM a\u00a0b", "FROM b # c", 'LICENSE ""', "PARSER x"),
    *("PARAMETER Top_K 3", "PARAMETER  top_k 3", "PARAMETER top_k 3.0", "PARAMETER mirostat 1"),
    *("PARAMETER top_k 3", "PARAMETER stop a", "PARAMETER stop ab", 'PARAMETER stop ""'),
    *("# modelkit: ignore[MK104]", "# modelkit: ignore-file[MK105, MK1]", "# modelkit: ignore"),
    *("TEMPLATE {{ .prompt }}", "TEMPLATE '{{ .Prompt }}'", "MESSAGE user ''", '"broken', "FOO"),
]
_LINES = st.lists(st.sampled_from(_MISTAKES), max_size=8)
_ENDS = st.sampled_from(["\n", "\r\n", "\n\n", " \n"])
FILES = st.builds(lambda lines, end: end.join(["FROM a", *lines]), _LINES, _ENDS) | MODELFILES


def commands(text: str) -> list[Command] | None:
    try:
        return list(Modelfile.parse(text).commands)
    except ModelfileError:
        return None


def check_effect(before: list[Command], after: list[Command], item: Diagnostic) -> None:
    gone = Counter(before) - Counter(after)
    new = Counter(after) - Counter(before)
    expected = {UNCHANGED: (0, 0), REMOVED: (1, 0), CHANGED: (1, 1)}[EFFECTS[item.code]]
    assert (gone.total(), new.total()) == expected, item


@given(FILES)
@settings(derandomize=True, deadline=None, max_examples=400)
def test_each_fix_does_to_the_commands_what_its_rule_says(text: str) -> None:
    before = commands(text)
    for item in lint(text):
        if item.fix is None:
            continue
        after = commands(apply(text, item.fix.edits))
        if before is not None:
            assert after is not None, item
            check_effect(before, after, item)


@given(FILES)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_fixing_leaves_nothing_to_fix_and_breaks_nothing(text: str) -> None:
    fixed = fix(text)
    assert not [item for item in fixed.remaining if item.fix]
    assert fixed.remaining == lint(fixed.text)
    if commands(text) is not None:
        assert commands(fixed.text) is not None
    if fixed.count == 0:
        assert fixed.text == text


@pytest.mark.parametrize("code", EFFECTS)
def test_a_fix_removes_its_own_finding(code: str) -> None:
    text = read(code, "bad")
    found = [item for item in lint(text) if item.code == code and item.fix]
    assert found
    for item in found:
        assert item.fix
        left = Counter(each.code for each in lint(apply(text, item.fix.edits)))
        assert left[code] < Counter(each.code for each in lint(text))[code]


def test_every_rule_that_mends_is_listed_here() -> None:
    mended = {folder.name for folder in FIXTURES.iterdir() if (folder / "fixed.Modelfile").exists()}
    assert mended == set(EFFECTS)


def test_line_ends_stay_as_they_are() -> None:
    text = "FROM a # b\r\nPARAMETER mirostat 1\r\nSYSTEM hi\r\n"
    assert fix(text).text == "# b\r\nFROM a\r\nSYSTEM hi\r\n"


def test_a_rule_that_is_off_mends_nothing() -> None:
    text = "FROM a\nPARAMETER mirostat 1\nPARAMETER Top_K 1\n"
    fixed = fix(text, config=Config(ignore=("MK104",)))
    assert (fixed.count, fixed.text) == (1, "FROM a\nPARAMETER mirostat 1\nPARAMETER top_k 1\n")
