"""The formatter changes the look of a Modelfile and nothing else."""

import re
from pathlib import Path

import pytest
from hypothesis import assume, given, settings

from modelkit.errors import ModelfileError
from modelkit.lint import lint
from modelkit.modelfile import Modelfile, decode
from modelkit.modelfile_format import format_modelfile
from modelkit.syntax import Comment, read_nodes
from tests.grammar.strategies import MODELFILES

GOOD = sorted((Path(__file__).parents[2] / "fixtures" / "modelfiles" / "good").glob("*.Modelfile"))


def parses(text: str) -> bool:
    try:
        Modelfile.parse(text)
    except ModelfileError:
        return False
    return True


def comments(text: str) -> list[str]:
    return [node.text.rstrip() for node in read_nodes(text) if isinstance(node, Comment)]


@given(MODELFILES.filter(parses))
@settings(derandomize=True, deadline=None, max_examples=400)
def test_commands_and_comments_stay_and_a_second_time_changes_nothing(text: str) -> None:
    formatted = format_modelfile(text)
    assert Modelfile.parse(formatted) == Modelfile.parse(text)
    assert comments(formatted) == comments(text)
    assert format_modelfile(formatted) == formatted


@given(MODELFILES.filter(parses))
@settings(derandomize=True, deadline=None, max_examples=200)
def test_formatting_makes_no_new_findings(text: str) -> None:
    def codes(source: str) -> list[str]:
        return sorted(item.code for item in lint(source))

    # A long value that looked closed on its first line may be told apart after all.
    assume("MK001" not in codes(text))
    assert set(codes(format_modelfile(text))) <= set(codes(text))


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_good_modelfile_keeps_its_commands(file: Path) -> None:
    text = decode(file.read_bytes(), file.name)
    assert Modelfile.parse(format_modelfile(text)) == Modelfile.parse(text)


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("from a", "FROM a\n"),
        ("\n\n  From\t a \t\n\n\n\n system   b", "FROM a\n\nSYSTEM b\n"),
        ("FROM a\nparameter\ttop_k   3", "FROM a\nPARAMETER top_k 3\n"),
        ("FROM a\nmessage user   hi ", "FROM a\nMESSAGE user hi\n"),
        ('FROM "a"\nSYSTEM """be brief"""', "FROM a\nSYSTEM be brief\n"),
        ('FROM a\nSYSTEM """say "hi\\""""', 'FROM a\nSYSTEM say "hi\\"\n'),
        ('FROM a\nSYSTEM """"hi" he said"""', 'FROM a\nSYSTEM """"hi" he said"""\n'),
        ('FROM a\nPARAMETER stop " x"', 'FROM a\nPARAMETER stop " x"\n'),
        ("FROM a\nPARAMETER stop ", 'FROM a\nPARAMETER stop ""\n'),
        ('FROM a\nSYSTEM "x # y"', 'FROM a\nSYSTEM "x # y"\n'),
        ("FROM a\nSYSTEM \"'x'\"", "FROM a\nSYSTEM \"'x'\"\n"),
        ('FROM a\nSYSTEM "\u00a0x"', 'FROM a\nSYSTEM "\u00a0x"\n'),
        ("FROM a\nSYSTEM x\u00a0y", "FROM a\nSYSTEM x\u00a0y\n"),
        ("FROM a\nPARAMETER  top_k 3", "FROM a\nPARAMETER  top_k 3\n"),
        ("  # head  \nFROM a\n\t#tail", "# head\nFROM a\n#tail\n"),
        ("FROM a\r\nsystem b\r\n", "FROM a\r\nSYSTEM b\r\n"),
        ("FROM a\rsystem b", "FROM a\rSYSTEM b\r"),
    ],
)
def test_words_blanks_and_quotes(text: str, formatted: str) -> None:
    assert format_modelfile(text) == formatted


def test_a_value_of_several_lines_stands_apart_with_its_comments() -> None:
    text = 'FROM a\n# how it talks\n# (short)\nsystem "be\nbrief"\nPARAMETER top_k 1\n\n# end\n'
    assert format_modelfile(text) == (
        "FROM a\n\n# how it talks\n# (short)\n"
        'SYSTEM """be\nbrief"""\n\nPARAMETER top_k 1\n\n# end\n'
    )


def test_the_text_of_a_value_is_never_touched() -> None:
    value = "\tx  \r\n\n\n   y\r  "
    formatted = format_modelfile(f'from a\ntemplate """{value}"""')
    assert re.search(r'TEMPLATE """(.*)"""\n\Z', formatted, re.DOTALL)
    assert Modelfile.parse(formatted).commands[1].value == value


def test_a_file_that_does_not_parse_is_refused() -> None:
    with pytest.raises(ModelfileError) as caught:
        format_modelfile("FROM a\nFOO b", "x")
    assert (caught.value.filename, caught.value.line) == ("x", 2)
