import codecs
import contextlib
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelkit.errors import ModelfileError, UsageError
from modelkit.modelfile import Command, Modelfile
from tests.grammar import reference
from tests.grammar.strategies import COMMANDS, MODELFILES

COMMAND_ERROR = (
    'command must be one of "from", "license", "template", "system", "adapter", "draft",'
    ' "renderer", "parser", "parameter", "message", or "requires"'
)
ROLE_ERROR = 'message role must be one of "system", "user", or "assistant"'


def pairs(source: str | bytes) -> list[tuple[str, str]]:
    return [(command.name, command.value) for command in Modelfile.parse(source).commands]


def value(source: str) -> str:
    """The value of the last command; FROM is given."""
    return pairs("FROM base\n" + source)[-1][1]


def message(source: str | bytes) -> str:
    with pytest.raises(ModelfileError) as caught:
        Modelfile.parse(source)
    return caught.value.message


@pytest.mark.parametrize("source", ["", "\n\n", "# only\n# comments", "SYSTEM hi", b""])
def test_a_file_without_from_is_refused(source: str | bytes) -> None:
    assert message(source) == "no FROM line"


def test_from_needs_a_value_on_its_line_but_the_value_may_be_empty() -> None:
    assert message("FROM\n") == f"(line 2): {COMMAND_ERROR}"
    assert message("FROM") == "unexpected EOF"
    assert pairs("FROM ") == [("model", "")]


@pytest.mark.parametrize("source", ["from a", "FrOm a", "\t FROM a", "FROM\ta", "FROM   a  "])
def test_case_and_blanks_around_an_instruction_do_not_matter(source: str) -> None:
    assert pairs(source) == [("model", "a")]


def test_from_may_come_last_and_more_than_once() -> None:
    assert pairs("SYSTEM s\nFROM a\nFROM b") == [("system", "s"), ("model", "a"), ("model", "b")]


@pytest.mark.parametrize("case", [str.upper, str.lower, str.capitalize])
def test_every_instruction_has_its_name_in_any_case(case: Callable[[str], str]) -> None:
    names = {
        "from": "model",
        "adapter": "adapter",
        "draft": "draft",
        "template": "template",
        "system": "system",
        "license": "license",
        "renderer": "renderer",
        "parser": "parser",
        "requires": "requires",
        "parameter top_k": "top_k",
        "message user": "message",
    }
    for written, name in names.items():
        keyword, _, argument = written.partition(" ")
        source = f"FROM a\n{case(keyword)} {argument} x"
        assert pairs(source)[-1][0] == name


def test_a_command_knows_its_line_and_column() -> None:
    parsed = Modelfile.parse('FROM a\r\n\r\n  SYSTEM "x\r\ny"\r\nPARAMETER top_k 1')
    assert [(c.line, c.column) for c in parsed.commands] == [(1, 1), (3, 3), (5, 1)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("FROM a # x", "a # x"),
        ('SYSTEM """x\ny"""   ', "x\ny"),
        ('SYSTEM "abc" def\nLICENSE "x"', 'abc" def\nLICENSE "x'),
        ("SYSTEM 'abc'", "'abc'"),
        ('SYSTEM a "b" c', 'a "b" c'),
        ('SYSTEM """"a""""', '"a"'),
        ('SYSTEM """\'\'"…"""', "''\"…"),
        ('SYSTEM ""', ""),
        ('SYSTEM """"""', ""),
        ("SYSTEM a\u00a0b", "ab"),
        ("SYSTEM a\tb", "a\tb"),
        ('SYSTEM "a\\"b"', 'a\\"b'),
        ("SYSTEM 👨‍👩‍👧 a\u200bb\u2060", "👨‍👩‍👧 a\u200bb\u2060"),
        ('SYSTEM "a\u00a0b\u3000"', "a\u00a0b\u3000"),
        ('SYSTEM "a\r\nb"', "a\r\nb"),
        ('SYSTEM \u00a0"a"\u00a0', "a"),
        ("MESSAGE user hi: there", "user: hi: there"),
        ("MESSAGE user ", "user: "),
        ("PARAMETER stop ", ""),
        ("PARAMETER stop \t x", "x"),
        ('PARAMETER stop "\n"', "\n"),
    ],
)
def test_a_value_is_read_as_the_reference_reads_it(source: str, expected: str) -> None:
    assert value(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('SYSTEM "abc', "unexpected EOF"),
        ('SYSTEM "abc" def', "unexpected EOF"),
        ('SYSTEM """"', "unexpected EOF"),
        ("FROM a\nFOO bar", f"(line 2): {COMMAND_ERROR}"),
        ("FROM a\r\nFOO bar", f"(line 3): {COMMAND_ERROR}"),
        ("FROM a\nSYSTEM b\nmore", "unexpected EOF"),
        ("FROM a\nSYSTEM b\nmore c", f"(line 3): {COMMAND_ERROR}"),
        ("FROMAGE a", f"(line 1): {COMMAND_ERROR}"),
        ("PARAMETER stop\n", "unexpected EOF: stop"),
        ("PARAMETER temp-x 1", "unexpected EOF: temp"),
        ("PARAMETER temp", "unexpected EOF"),
        ("MESSAGE USER hi", f"(line 1): {ROLE_ERROR}"),
        ("MESSAGE tool hi", f"(line 1): {ROLE_ERROR}"),
        ("MESSAGE  user hi", f"(line 1): {ROLE_ERROR}"),
        ("MESSAGE user: hi", "unexpected EOF: user"),
        ("MESSAGE user\n", "unexpected EOF: user"),
        ("MESSAGE user", "unexpected EOF"),
    ],
)
def test_a_refusal_has_the_reference_words_and_line(source: str, expected: str) -> None:
    assert message(source) == expected


def test_two_blanks_before_a_parameter_leave_its_name_empty() -> None:
    assert pairs("FROM a\nPARAMETER  top_k 1")[-1] == ("", "top_k 1")


def test_a_parameter_cannot_stand_in_for_an_instruction() -> None:
    assert message("PARAMETER model evil") == "unknown parameter 'model'"


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\x9b"])
def test_a_control_character_in_a_value_is_refused_and_in_a_comment_is_not(character: str) -> None:
    expected = f"(line 2): control character U+{ord(character):04X} in a value"
    assert message(f"FROM a\nSYSTEM b{character}c") == expected
    assert message(f'FROM a\nSYSTEM "b{character}c"') == expected
    assert pairs(f"# b{character}c\nFROM a") == [("model", "a")]


def test_a_dropped_space_is_warned_about() -> None:
    parsed = Modelfile.parse("FROM base\nSYSTEM こんにちは\u3000世界")
    assert parsed.commands[-1].value == "こんにちは世界"
    assert parsed.warnings == (
        "line 2: U+3000, a kind of space, is dropped from the value;"
        " put the value in quotes to keep it",
    )


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_a_byte_order_mark_chooses_the_encoding(mark: bytes, encoding: str) -> None:
    source = "FROM a\r\nSYSTEM grüße 👋"
    assert pairs(mark + source.encode(encoding)) == [("model", "a"), ("system", "grüße 👋")]


def test_a_byte_order_mark_in_text_is_skipped() -> None:
    assert pairs("\ufeffFROM a") == [("model", "a")]


def test_bytes_that_are_not_utf_8_are_refused_with_their_place() -> None:
    with pytest.raises(ModelfileError, match="not valid utf-8") as caught:
        Modelfile.parse(b"FROM a\nSYSTEM caf\xe9")
    assert (caught.value.line, caught.value.column) == (2, 11)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain text", "SYSTEM plain text"),
        ("line\nbreak", 'SYSTEM "line\nbreak"'),
        ('line\nand "quote"', 'SYSTEM """line\nand "quote""""'),
        ('say "yes"', 'SYSTEM say "yes"'),
        ('"quoted"', 'SYSTEM """"quoted""""'),
        ("ends in a space ", 'SYSTEM "ends in a space "'),
        ("", 'SYSTEM ""'),
        ("a\u00a0b", 'SYSTEM "a\u00a0b"'),
        ('"', 'SYSTEM """""""'),
    ],
)
def test_a_value_is_quoted_only_where_it_must_be(text: str, written: str) -> None:
    command = Command("system", text)
    assert str(command) == written
    assert Modelfile.parse(f"FROM a\n{written}").commands[-1] == command


def test_commands_are_written_with_their_own_words() -> None:
    modelfile = Modelfile(
        (
            Command("model", "llama3.2"),
            Command("top_k", "10"),
            Command("", "odd"),
            Command("message", "user: hi: there"),
        )
    )
    expected = "FROM llama3.2\nPARAMETER top_k 10\nPARAMETER  odd\nMESSAGE user hi: there\n"
    assert str(modelfile) == expected


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("system", 'ends in """\nand goes on', 'a line that ends in """'),
        ("message", 'user: """  \r\n', 'a line that ends in """'),
        ("system", "\x1b[1m", r"U\+001B"),
        ("system", "\udc00", r"U\+DC00"),
        ("temp-x", "1", "cannot be a parameter name"),
        ("message", "hi", "has no role"),
        ("message", "tool: hi", "has no role"),
    ],
)
def test_a_command_that_cannot_be_written_is_refused_when_it_is_made(
    name: str, text: str, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        Command(name, text)


@given(st.lists(COMMANDS))
@example([Command("system", '""\n"')])
@example([Command("system", '"\n')])
@example([Command("system", "\n")])
@example([Command("template", '\u2028"\u3000')])
@example([Command("system", '"" "')])
@settings(derandomize=True, deadline=None, max_examples=1000)
def test_what_is_written_parses_back_to_the_same_commands(made: list[Command | None]) -> None:
    modelfile = Modelfile((Command("model", "base"), *(c for c in made if c is not None)))
    text = str(modelfile)
    assert Modelfile.parse(text) == modelfile
    assert Modelfile.parse(text.encode()) == modelfile


@given(MODELFILES)
@settings(derandomize=True, deadline=None, max_examples=500)
def test_what_parses_can_be_written_and_parsed_again(source: str) -> None:
    try:
        parsed = Modelfile.parse(source)
    except ModelfileError:
        return
    assert Modelfile.parse(str(parsed)) == parsed


@given(MODELFILES)
@settings(derandomize=True, deadline=None, max_examples=2000)
def test_commands_and_messages_agree_with_the_rules_read_character_by_character(
    source: str,
) -> None:
    try:
        expected: object = reference.parse(source)
    except reference.Refusal as error:
        expected = str(error)
    try:
        actual: object = pairs(source)
    except ModelfileError as error:
        actual = error.message
    assert actual == expected


@given(st.binary(max_size=200) | MODELFILES.map(str.encode))
@settings(derandomize=True, deadline=None, max_examples=1000)
def test_any_bytes_either_parse_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(ModelfileError):
        assert any(command.name == "model" for command in Modelfile.parse(data).commands)


@given(st.text())
@settings(derandomize=True, deadline=None, max_examples=1000)
def test_any_text_either_parses_or_is_refused(text: str) -> None:
    for source in (text, f"FROM a\nSYSTEM {text}", f'FROM a\nSYSTEM "{text}'):
        try:
            parsed = Modelfile.parse(source)
        except ModelfileError:
            continue
        assert Modelfile.parse(str(parsed)) == parsed
