"""llama.cpp's grammar notation."""

from __future__ import annotations

import numpy as np
import pytest

from modelkit.errors import UsageError
from modelkit.serve.runner.grammar.gbnf import to_lark
from modelkit.serve.runner.grammar.grammars import Grammars
from modelkit.serve.runner.llama.model import Model
from modelkit.serve.types import Grammar
from tests.serve.runner.grammar.walks import accepts, walk

_JSON = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
# Optional space: by convention, applied in this grammar after literal chars when allowed
ws ::= | " " | "\n" [ \t]{0,20}
"""


@pytest.mark.parametrize(
    ("source", "texts", "others"),
    [
        ('root ::= "yes" | "no"', ["yes", "no"], ["y", "yesno", ""]),
        ('root ::= [a-z]+ "b"', ["ab", "bb", "abcb"], ["b", "ac"]),
        ("root ::= a-b{2} a-b?\na-b ::= [0-9] # digits\n", ["12", "123"], ["1", "1234"]),
        ('root ::= "a"{2,} | ("b" | "c"){1,2}', ["aa", "aaaa", "bc", "c"], ["a", "bcb"]),
        (r'root ::= "\x41\u00e9\U0001F600\t\\\"" .', ['Aé😀\t\\"\n', 'Aé😀\t\\"é'], ["Aé"]),
        (r"root ::= [^a-c\]-] [x-]", ["dx", "d-", "\n-"], ["ax", "]x", "-x", "dy"]),
        ('root ::= "(" root ")" | [0-9]+', ["1", "((12))"], ["(1", "()"]),
        ('root ::= root "," item | item\nitem ::= [a-z]+', ["a", "ab,c"], [",", "a,"]),
        (_JSON, ["{}", '{"a": [1, -2.5e3, "x\\n"], "b": {"c": null} }\n  '], ["[]", '{"a":}']),
    ],
)
def test_texts_of_the_grammar_and_no_others_are_allowed(
    source: str, texts: list[str], others: list[str], grammars: Grammars, model: Model
) -> None:
    for text in [*texts, *others]:
        constraint = grammars.start(Grammar("gbnf", source))
        assert accepts(constraint, model, text) == (text in texts), text


def test_random_answers_of_a_recursive_grammar_end(grammars: Grammars, model: Model) -> None:
    random = np.random.default_rng(1)
    answers = [walk(grammars.start(Grammar("gbnf", _JSON)), model, random) for _ in range(20)]
    assert any(answers)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "cannot be read"),
        ('start ::= "a"', '"root"'),
        ("root ::= a", "'a', which is no rule"),
        ('root ::= "a', "cannot be read"),
        ('root ::= ("a"', "cannot be read"),
        (r'root ::= "\q"', r"'\\q'"),
        (r'root ::= "\U11000000"', "no character"),
        ("root ::= <think>", "cannot be read"),
    ],
)
def test_what_is_no_grammar_is_refused(source: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        to_lark(source)
    assert reason in caught.value.message
