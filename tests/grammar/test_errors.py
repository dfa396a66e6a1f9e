import re

import pytest

from modelkit.errors import ModelfileError
from modelkit.grammar.errors import MISTAKES, nearest
from modelkit.modelfile import Modelfile

EXAMPLES = [
    pytest.param(kind, example, id=f"{kind}: {example!r}")
    for kind, mistake in MISTAKES.items()
    for example in mistake.examples
]


def as_pattern(template: str) -> str:
    return re.sub(r"\\{\w+\\}", ".*", re.escape(template))


def refusal(source: str | bytes) -> ModelfileError:
    with pytest.raises(ModelfileError) as caught:
        Modelfile.parse(source)
    return caught.value


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_every_example_of_a_mistake_gets_its_message_and_hint(
    kind: str, example: str | bytes
) -> None:
    error = refusal(example)
    assert re.fullmatch(as_pattern(MISTAKES[kind].message), error.message)
    assert error.hint
    assert re.fullmatch(as_pattern(MISTAKES[kind].hint), error.hint)


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_every_example_of_a_mistake_is_placed_inside_the_file(
    kind: str, example: str | bytes
) -> None:
    error = refusal(example)
    assert error.line >= 1
    assert 1 <= error.column <= len(error.source_line) + 1
    assert "\n" not in error.source_line


@pytest.mark.parametrize(
    ("source", "line", "column", "source_line"),
    [
        ("FROM a\n  PARAMTER x 1\n", 2, 3, "  PARAMTER x 1"),
        ("FROM a\r\nSYSTEM\r\nhi", 2, 7, "SYSTEM"),
        ('FROM a\rSYSTEM "hi', 2, 8, 'SYSTEM "hi'),
        ("FROM a\nMESSAGE user: hi", 2, 13, "MESSAGE user: hi"),
        ("FROM a\nPARAMETER stop", 2, 11, "PARAMETER stop"),
        ("FROM a\nSYSTEM b\tc\x00d", 2, 11, "SYSTEM b\tc\x00d"),
    ],
)
def test_an_error_points_at_its_place(
    source: str, line: int, column: int, source_line: str
) -> None:
    error = refusal(source)
    assert (error.line, error.column, error.source_line) == (line, column, source_line)


def test_an_error_names_the_file() -> None:
    with pytest.raises(ModelfileError) as caught:
        Modelfile.parse("", filename="models/Modelfile")
    assert caught.value.filename == "models/Modelfile"


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("PARAMTER top_k 1", "did you mean PARAMETER?"),
        ("SYTEM x", "did you mean SYSTEM?"),
        ("FROM: x", "did you mean FROM?"),
        ("MESSAGE Usr x", "did you mean user?"),
        ("\u200bFROM x", "an invisible character U+200B stands before the instruction"),
        ("from\n", "FROM needs a value on the same line"),
    ],
)
def test_a_hint_names_the_nearest_known_word_or_the_cause(source: str, hint: str) -> None:
    assert refusal(source).hint == hint


def test_nothing_is_suggested_for_a_word_that_resembles_no_known_one() -> None:
    assert nearest("RUN", ["FROM", "PARSER"]) is None
