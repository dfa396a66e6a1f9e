import contextlib
import time

import pytest
from hypothesis import given, settings
from lark import Token, Tree
from lark.exceptions import UnexpectedInput

from modelkit.grammar import load
from modelkit.grammar.errors import INSTRUCTIONS
from modelkit.grammar.positions import Lines
from tests.grammar.strategies import MODELFILES

SOURCE = '# head\n\n  from a # b \r\n\tPARAMETER stop  """x\ny""" \nmessage user hi\n# tail'


def tokens(source: str) -> list[Token]:
    tree = load("modelfile").parse(source)
    return list(tree.scan_values(lambda value: isinstance(value, Token)))


def test_the_parser_is_built_once() -> None:
    assert load("modelfile") is load("modelfile")


def test_the_grammar_and_the_error_table_know_the_same_instructions() -> None:
    terminals = {terminal.name for terminal in load("modelfile").terminals}
    assert terminals.issuperset(INSTRUCTIONS)


def test_the_tokens_joined_are_the_file_comments_and_layout_included() -> None:
    assert "".join(tokens(SOURCE)) == SOURCE


@given(MODELFILES)
@settings(derandomize=True, deadline=None, max_examples=500)
def test_the_tokens_of_any_file_that_parses_joined_are_the_file(source: str) -> None:
    try:
        found = tokens(source)
    except UnexpectedInput:
        return
    assert "".join(found) == source


def test_every_token_and_node_knows_where_it_stands() -> None:
    for token in tokens(SOURCE):
        assert SOURCE[token.start_pos : token.end_pos] == token
    nodes = [node for node in load("modelfile").parse(SOURCE).children if isinstance(node, Tree)]
    assert [node.data for node in nodes] == ["setting", "parameter", "message"]
    assert [Lines(SOURCE).at(node.meta.start_pos) for node in nodes] == [(3, 3), (4, 2), (6, 1)]


def test_comments_are_tokens_of_their_own() -> None:
    assert [token for token in tokens(SOURCE) if token.type == "COMMENT"] == ["# head", "# tail"]


@pytest.mark.parametrize(
    "source",
    [
        "SYSTEM " + '"' * 100_000,
        'SYSTEM """' + '"" ' * 33_000,
        'SYSTEM "' + '" x\n' * 25_000,
        "SYSTEM a" + " " * 100_000 + "\x0b" * 10,
        "\n \t" * 33_000 + "FROM a",
        "FROM" + "M" * 100_000,
        "PARAMETER " + "a" * 100_000,
        "FROM a\n" * 3_000 + "FOO",
    ],
    ids=lambda source: source[:12],
)
def test_hostile_input_of_100_kb_is_answered_within_a_second(source: str) -> None:
    load("modelfile")
    start = time.perf_counter()
    with contextlib.suppress(UnexpectedInput):
        tokens(source)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_each_kind_of_line_end_ends_one_line(newline: str) -> None:
    lines = Lines(f"a{newline}bc{newline}")
    assert lines.at(0) == (1, 1)
    assert lines.at(2 + len(newline)) == (2, 2)
    assert lines.at(3 + 2 * len(newline)) == (3, 1)
    assert [lines.text(number) for number in (1, 2, 3)] == ["a", "bc", ""]
