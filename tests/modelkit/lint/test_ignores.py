"""Comments that silence rules."""

import pytest

from modelkit.lint import Config, lint

BAD = "PARAMETER temperture 9"


def codes(text: str, **settings: tuple[str, ...]) -> list[str]:
    return [item.code for item in lint(text, config=Config(**settings))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "comment",
    [
        "# modelkit: ignore[MK101]",
        "#modelkit:ignore[mk101]",
        "  # modelkit: ignore [MK101] until the new engine is out",
        "# modelkit: ignore",
        "# modelkit: ignore[MK101]\n# and why",
        "# about this\n# modelkit: ignore[MK101]",
        "# modelkit: ignore-file[MK101]\n",
        "# modelkit: ignore-file\n",
    ],
)
def test_a_comment_above_an_instruction_silences_its_findings(comment: str) -> None:
    assert codes(f"FROM a\n{comment}\n{BAD}\n") == []


@pytest.mark.parametrize(
    "comment",
    [
        "# modelkit: ignore[MK103]",
        "# modelkit: ignore[]",
        "# modelkit: ignore[MK101]\n",
        "# modelkit: ignore[MK101]\nSYSTEM hi",
        "# modelkit ignore[MK101]",
        "# please, modelkit: ignore[MK101]",
    ],
)
def test_a_comment_elsewhere_or_about_something_else_silences_nothing(comment: str) -> None:
    assert "MK101" in codes(f"FROM a\n{comment}\n{BAD}\n")


def test_a_file_comment_counts_wherever_it_stands() -> None:
    assert codes(f"FROM a\n{BAD}\n{BAD}\n# modelkit: ignore-file[MK101]\n") == []


def test_a_comment_silences_what_lies_inside_a_long_value() -> None:
    text = 'FROM a\n# modelkit: ignore[MK202]\nTEMPLATE """{{ .Prompt }}\n{{ .nope }}"""\n'
    assert codes(text) == []


def test_a_syntax_error_cannot_be_silenced() -> None:
    assert codes("# modelkit: ignore-file\nFROM a\nFOO\n", ignore=("MK000",)) == ["MK000"]


def test_one_of_two_comments_that_say_the_same_is_unused() -> None:
    text = f"# modelkit: ignore-file[MK101]\n# modelkit: ignore-file[MK101]\nFROM a\n{BAD}\n"
    assert [(item.code, item.start.line) for item in lint(text)] == [("MK012", 2)]


def test_a_comment_about_a_rule_that_did_not_run_is_not_called_unused() -> None:
    text = "# modelkit: ignore-file[MK104]\nFROM a\n"
    assert codes(text, ignore=("MK104",)) == []
    assert codes(text, select=("MK0",)) == []
    assert codes(text) == ["MK012"]


def test_a_comment_about_being_locked_is_no_use_only_when_locked() -> None:
    text = "# modelkit: ignore-file[MK304]\nFROM ./weights.gguf\n"
    off = ("MK3",)
    assert codes(text, ignore=off) == []
    assert [item.code for item in lint(text, config=Config(locked=True))][:1] == ["MK012"]
