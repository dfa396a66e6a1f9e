"""Constraints as the decode loop uses them."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from modelkit.errors import EngineError, UsageError
from modelkit.serve.runner.grammar.grammars import Grammars
from modelkit.serve.runner.llama.model import Model
from modelkit.serve.types import Grammar
from tests.serve.runner.grammar.schemas import closed
from tests.serve.runner.grammar.walks import accepts, allowed, walk

_KEYS = Grammar(
    "json_schema",
    json.dumps(closed(the_first_key={"enum": [1, 2]}, the_second_key={"type": "boolean"})),
)


def _text(model: Model, tokens: list[int]) -> str:
    return b"".join(model.piece(token) for token in tokens).decode()


def test_fixed_keys_follow_without_sampling(grammars: Grammars, model: Model) -> None:
    constraint = grammars.start(_KEYS)
    (opening, *_) = allowed(constraint, model.n_vocab)
    assert _text(model, [opening, *constraint.accept(opening)]) == '{"the_first_key":'
    (two,) = [t for t in allowed(constraint, model.n_vocab) if model.piece(t) == b"2"]
    assert _text(model, constraint.accept(two)) == ',"the_second_key":'
    (true,) = [t for t in allowed(constraint, model.n_vocab) if model.piece(t) == b"t"]
    assert _text(model, constraint.accept(true)) == "rue}"
    assert constraint.complete


def test_forced_text_is_spelt_as_the_tokenizer_spells_it(grammars: Grammars, model: Model) -> None:
    constraint = grammars.start(Grammar("regex", "x: the boy has ready labour[.]?"))
    (first, *_) = allowed(constraint, model.n_vocab)
    tokens = [first, *constraint.accept(first)]
    whole = model.tokenize("x: the boy has ready labour.", add_special=False, parse_special=False)
    assert tokens == whole[: len(tokens)]
    assert len(tokens) > 3


def test_every_end_token_is_allowed_where_the_grammar_may_end_and_only_there(
    grammars: Grammars, model: Model
) -> None:
    ends = {token for token in range(model.n_vocab) if model.ends(token)}
    assert len(ends) > 1
    constraint = grammars.start(Grammar("regex", "a+b?"))
    assert not ends & set(allowed(constraint, model.n_vocab))
    (a,) = [t for t in allowed(constraint, model.n_vocab) if model.piece(t) == b"a"]
    assert constraint.accept(a) == []
    assert ends <= set(allowed(constraint, model.n_vocab))
    assert not constraint.complete
    constraint.accept(max(ends))
    assert constraint.complete


def test_a_special_token_is_never_text(grammars: Grammars, model: Model) -> None:
    special = {token for token in range(model.n_vocab) if model.is_special(token)}
    constraint = grammars.start(Grammar("regex", r"(?s:x.*)"))
    constraint.accept(allowed(constraint, model.n_vocab)[0])
    tokens = set(allowed(constraint, model.n_vocab))
    assert tokens & special == {token for token in special if model.ends(token)}
    assert len(tokens) > model.n_vocab / 2


def test_drafted_tokens_are_counted_and_not_accepted(grammars: Grammars, model: Model) -> None:
    constraint = grammars.start(Grammar("regex", "[a-c]{3}"))
    a, d = (model.tokenize(c, add_special=False, parse_special=False)[0] for c in "ad")
    assert constraint.allows([a, a, d, a]) == 2
    assert constraint.allows([a, a, a, a]) == 3
    assert constraint.allows([]) == 0
    assert a in allowed(constraint, model.n_vocab)


def test_a_mask_may_be_prepared_ahead(grammars: Grammars, model: Model) -> None:
    ahead, late = grammars.start(_KEYS), grammars.start(_KEYS)
    for _ in range(6):
        ahead.prepare()
        ahead.prepare()
        tokens = allowed(ahead, model.n_vocab)
        assert tokens == allowed(late, model.n_vocab)
        assert ahead.accept(tokens[-1]) == late.accept(tokens[-1])
        if ahead.complete:
            break
    assert late.complete


def test_a_forbidden_token_ends_the_sequence_with_an_error(
    grammars: Grammars, model: Model
) -> None:
    constraint = grammars.start(_KEYS)
    with pytest.raises(EngineError, match="the grammar cannot go on"):
        constraint.accept(model.eos)
    with pytest.raises(EngineError, match="the grammar cannot go on"):
        constraint.mask(np.zeros(model.n_vocab, np.float32))
    assert not constraint.complete


def test_a_freed_constraint_may_still_be_computing(grammars: Grammars) -> None:
    for _ in range(50):
        constraint = grammars.start(_KEYS)
        constraint.prepare()
        constraint.free()


@pytest.mark.parametrize(
    ("grammar", "texts", "others"),
    [
        (Grammar("json"), ["{}", '{"a": [1, {"b": null}]}', '{\n    "a": "é"\n}'], ["[]", "1", ""]),
        (Grammar("json"), ['{ "a":1}'], ["{   }", '{"a":\n\n\n1}', '{"\\u0061":1}', "{} "]),
        (Grammar("regex", "[0-9]{2}|x"), ["12", "x"], ["1", "123", "x1"]),
        (Grammar("lark", 'start: "a" b+\nb: /[0-9]/ | "(" start ")"'), ["a1(a2)"], ["a", "a(1)"]),
        (_KEYS, ['{"the_first_key":1,"the_second_key":true}'], ["{}", '{"the_second_key":true}']),
        (_KEYS, [], ['{"the_first_key": 1,"the_second_key":true}']),
    ],
)
def test_texts_of_the_grammar_and_no_others_are_allowed(
    grammar: Grammar, texts: list[str], others: list[str], grammars: Grammars, model: Model
) -> None:
    for text in [*texts, *others]:
        assert accepts(grammars.start(grammar), model, text) == (text in texts), text


def test_any_json_object_is_json(grammars: Grammars, model: Model) -> None:
    random = np.random.default_rng(0)
    answers = [walk(grammars.start(Grammar("json")), model, random) for _ in range(40)]
    whole = [json.loads(answer) for answer in answers if answer is not None]
    assert len(whole) > 5
    assert all(isinstance(value, dict) for value in whole)


def test_a_schema_inside_lark_is_as_strict_as_alone(grammars: Grammars, model: Model) -> None:
    schema = json.dumps(closed(a={"type": "string", "format": "date", "pattern": "-02-29$"}))
    source = f'start: "<call>" %json {schema} "</call>" // %json\n'
    for text in ('<call>{"a":"2024-02-29"}</call>', '<call>{"a":"2023-02-29"}</call>'):
        constraint = grammars.start(Grammar("lark", source))
        assert accepts(constraint, model, text) == ("2024" in text)
    assert accepts(grammars.start(Grammar("lark", 'start: "%json" /%json/')), model, "%json%json")
    with pytest.raises(UsageError, match='"not" at #'):
        grammars.start(Grammar("lark", 'start: %json {"not": {}}'))


def test_special_tokens_in_lark_are_told_from_their_spelling(
    grammars: Grammars, model: Model
) -> None:
    special = Grammar("lark", 'start: %special "a<|start_header_id|>\\n" "b" %special ""')
    spelt = Grammar("lark", 'start: "a<|start_header_id|>\\n" "b"')
    (token,) = model.tokenize("<|start_header_id|>", add_special=False, parse_special=True)
    a, b = (model.tokenize(x, add_special=False, parse_special=False) for x in ("a", "\nb"))
    assert grammars.start(special).allows([*a, token, *b, model.eos]) == len(a) + len(b) + 2
    assert not accepts(grammars.start(special), model, "a<|start_header_id|>\nb")
    assert accepts(grammars.start(spelt), model, "a<|start_header_id|>\nb")
    with pytest.raises(UsageError, match="cannot be read"):
        grammars.start(Grammar("lark", "start: %special a"))


def test_a_schema_inside_lark_may_say_where_it_is_from(grammars: Grammars) -> None:
    source = 'start: %json {"not": {}, "x-where": "the second tool"}'
    with pytest.raises(UsageError, match=r'"not" at # .*, in the second tool$'):
        grammars.start(Grammar("lark", source))


def test_an_integer_cannot_go_on_for_ever(grammars: Grammars, model: Model) -> None:
    longest = str(2**53 - 1)
    source = json.dumps({"type": ["integer", "null"], "minimum": -3})
    for text in ("-3", longest, "null"):
        assert accepts(grammars.start(Grammar("json_schema", source)), model, text)
    for text in ("-4", f"{longest}0"):
        assert not accepts(grammars.start(Grammar("json_schema", source)), model, text)


@pytest.mark.parametrize(
    ("grammar", "reason"),
    [
        (Grammar("json_schema", ""), "cannot be read"),
        (Grammar("json_schema", "{"), "cannot be read"),
        (Grammar("json_schema", '{"const": NaN}'), "NaN"),
        (Grammar("regex", "["), "unclosed character class"),
        (Grammar("regex", "(?=a)"), "look-around"),
        (Grammar("regex", "[^\\x00-\\xff]&&a^"), "cannot be enforced"),
        (Grammar("lark", "start: other"), "other"),
        (Grammar("lark", ""), "Empty grammar"),
        (Grammar("lark", "start: %json {"), "cannot be read"),
        (Grammar("gbnf", "root ::= other"), "other"),
    ],
)
def test_what_is_no_grammar_is_refused(grammar: Grammar, reason: str, grammars: Grammars) -> None:
    with pytest.raises(UsageError) as caught:
        grammars.start(grammar)
    assert reason in caught.value.message


def _nested(levels: int) -> str:
    return '{"items":' * levels + "{}" + "}" * levels


def _chain(start: str, rule: str) -> str:
    rules = [rule.format(n, n + 1) for n in range(2000)]
    return "\n".join([start, *rules, rules[-1].replace("r1999", "r2000").replace(" r2000", "")])


def _references(count: int) -> dict[str, object]:
    """A definition in a definition in a definition..."""
    definitions = {f"d{n}": closed(x={"$ref": f"#/$defs/d{n + 1}"}) for n in range(count)}
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{count}": {"type": "null"}}}


def _twins() -> dict[str, object]:
    """Two schemas that refer to themselves in every property."""
    names = [f"p{n}" for n in range(50)]
    twin = {
        name: {
            "type": "object",
            "properties": {key: {"$ref": f"#/$defs/{name}"} for key in names},
            "required": names,
        }
        for name in "ab"
    }
    return {"oneOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}], "$defs": twin}


_BOMBS: dict[str, Callable[[], Grammar]] = {
    "length": lambda: Grammar("json_schema", " " * (1 << 18) + "true"),
    "regex length": lambda: Grammar("regex", "a" * (1 << 21)),
    "depth": lambda: Grammar("json_schema", _nested(300)),
    "endless depth": lambda: Grammar("json_schema", _nested(100_000)),
    "properties": lambda: Grammar(
        "json_schema", json.dumps({"properties": {f"p{n}": {} for n in range(10_000)}})
    ),
    "enum": lambda: Grammar(
        "json_schema", json.dumps({"enum": [f"{n * 7919 % 99_991:x}" for n in range(40_000)]})
    ),
    "cross product": lambda: Grammar(
        "json_schema",
        json.dumps(
            {
                "allOf": [
                    {"anyOf": [{"properties": {f"p{n}": {"const": m}}} for m in range(4)]}
                    for n in range(20)
                ]
            }
        ),
    ),
    "deep constant": lambda: Grammar("json_schema", '{"const":' + "[" * 900 + "]" * 900 + "}"),
    "deep schema in lark": lambda: Grammar("lark", "start: %json " + _nested(100_000)),
    "alternatives": lambda: Grammar(
        "json_schema", json.dumps({"oneOf": [{"const": n} for n in range(1500)]})
    ),
    "alternatives that nest": lambda: Grammar("json_schema", json.dumps(_twins())),
    "chain of references": lambda: Grammar("json_schema", json.dumps(_references(900))),
    "chain of rules": lambda: Grammar("lark", _chain("start: r0", "r{}: r{} /x/")),
    "chain of GBNF rules": lambda: Grammar("gbnf", _chain("root ::= r0", "r{} ::= r{} [x]")),
    "GBNF groups": lambda: Grammar("gbnf", "root ::= " + "(" * 20_000 + '"a"' + ")" * 20_000),
    "Lark groups": lambda: Grammar("lark", "start: " + "(" * 100_000 + '"a"' + ")" * 100_000),
    "multiples": lambda: Grammar(
        "json_schema", json.dumps({"type": "integer", "multipleOf": 999_999_937})
    ),
}


@pytest.mark.parametrize("name", _BOMBS)
def test_a_bomb_is_refused(name: str, grammars: Grammars) -> None:
    with pytest.raises(UsageError):
        grammars.start(_BOMBS[name]())


def test_a_long_chain_of_references_is_no_bomb(grammars: Grammars, model: Model) -> None:
    source = json.dumps(_references(190))
    constraint = grammars.start(Grammar("json_schema", source))
    assert accepts(constraint, model, '{"x":' * 190 + "null" + "}" * 190)


def test_a_definition_named_twice_at_every_level_is_compiled_once(
    grammars: Grammars, model: Model
) -> None:
    definitions = {
        f"d{n}": closed([], a={"$ref": f"#/$defs/d{n + 1}"}, b={"$ref": f"#/$defs/d{n + 1}"})
        for n in range(40)
    }
    schema = {"$ref": "#/$defs/d0", "$defs": {**definitions, "d40": {"type": "null"}}}
    constraint = grammars.start(Grammar("json_schema", json.dumps(schema)))
    assert accepts(constraint, model, '{"a":{"b":{"a":{}}}}')


def test_a_grammar_without_end_fails_its_sequence_alone(grammars: Grammars, model: Model) -> None:
    """It compiles, and then is too complex to go on with."""
    endless = grammars.start(Grammar("gbnf", 'root ::= "a" root'))
    with pytest.raises(EngineError, match="the grammar cannot go on"):
        walk(endless, model, np.random.default_rng(0))
    assert accepts(grammars.start(Grammar("regex", "ab")), model, "ab")


def test_many_threads_may_start_and_use_grammars(model: Model) -> None:
    grammars = Grammars(model)
    sources = [json.dumps(closed(**{f"key{n}": {"type": "boolean"}})) for n in range(40)]

    def answer(number: int) -> tuple[int, bytes | None]:
        random = np.random.default_rng(number)
        constraint = grammars.start(Grammar("json_schema", sources[number % len(sources)]))
        return number, walk(constraint, model, random)

    with ThreadPoolExecutor(8) as pool:
        for number, text in pool.map(answer, range(160)):
            assert text is not None
            assert list(json.loads(text)) == [f"key{number % len(sources)}"]


def test_a_sentencepiece_vocabulary_spells_answers_too(sentencepiece: Model) -> None:
    grammars = Grammars(sentencepiece)
    random = np.random.default_rng(3)
    schema = json.dumps(closed(name={"type": "string", "maxLength": 6}, age={"type": "integer"}))
    for _ in range(20):
        text = walk(grammars.start(Grammar("json_schema", schema)), sentencepiece, random)
        assert text is not None
        assert text.startswith(b'{"name":"')
        assert isinstance(json.loads(text)["age"], int)
