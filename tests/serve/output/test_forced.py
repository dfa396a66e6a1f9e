"""Calls that must be made, or must obey their schemas, in the form of every kind of model."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import numpy as np
import pytest

from modelkit.errors import UsageError
from modelkit.serve.output import AnswerFormat
from modelkit.serve.output.choice import Named, ToolChoice
from modelkit.serve.output.forced import call_grammar
from modelkit.serve.output.forms import DEEPSEEK, DEEPSEEK_R1, HARMONY, MISTRAL, XML, call_form
from modelkit.serve.output.offers import Offer
from modelkit.serve.runner.grammar.grammars import Grammars
from modelkit.serve.runner.llama.log import Log
from modelkit.serve.runner.llama.model import Model
from modelkit.serve.types import Grammar
from tests.serve.output.pieces import sort
from tests.serve.runner.grammar.walks import walk
from tests.serve.scripted import write_script

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 5},
        "days": {"$ref": "#/$defs/days"},
        "unit": {"type": "string", "enum": ["C", "F"]},
    },
    "required": ["city", "days"],
    "$defs": {"days": {"type": "integer", "minimum": 1, "maximum": 9}},
}
RENAME = {
    "type": "object",
    "properties": {"name": {"const": "weather"}, "arguments": {"type": "boolean"}},
    "required": ["name"],
}
SCHEMAS: dict[str, Any] = {"weather": WEATHER, "re-name": RENAME, "now": None}
OFFERS = [Offer(name, schema) for name, schema in SCHEMAS.items()]
# With the last two, llama.cpp knows the vocabulary for gpt-oss's, where <|end|> ends no answer.
WORDS = ["<tool_call>", "</tool_call>", "<|start|>", "<|end|>", "<|channel|>", "<|message|>"]
WORDS += ["<|call|>", "<|return|>"]
# A SentencePiece vocabulary, as the tests' is, cannot spell their "▁".
DEEPSEEKS = {
    text for style in (DEEPSEEK, DEEPSEEK_R1) for text in re.findall("<[^>]+>", str(style))
}


def form(tag: str, style: Any = None, *, source: str = "", harmony: bool = False) -> AnswerFormat:
    return AnswerFormat(
        tool_tag=tag,
        tools=tuple(SCHEMAS),
        harmony=harmony,
        form=style or call_form(tag, source),
        schemas=SCHEMAS,
    )


FORMS = {
    "hermes": form("<tool_call>", source="<tool_call>\n </tool_call>"),
    "tinychat": form("<tool_call>", source='<tool_call>{"name":"</tool_call>'),
    "llama": form("{", source='"parameters": {{ .Function.Arguments }}'),
    "mistral": form("[TOOL_CALLS] ["),
    "named": form("[TOOL_CALLS]", MISTRAL),
    "granite": form("<|tool_call|>"),
    "nvidia": form("<TOOLCALL>"),
    "firefunction": form("functools["),
    "unknown": form("CALL:"),
    "deepseek": form(DEEPSEEK.opening, DEEPSEEK),
    "deepseek-r1": form(DEEPSEEK_R1.opening, DEEPSEEK_R1),
    "coder": form("<tool_call>", XML),
    "gpt-oss": form("{", HARMONY, harmony=True),
}
PROMPTS = {"gpt-oss": "<|start|>assistant"}
names = pytest.mark.parametrize("name", FORMS)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A vocabulary of bytes, in which some of the tags are special tokens."""
    path = tmp_path_factory.mktemp("words") / "words.gguf"
    return Model(str(write_script(path, {"x": [*WORDS, *sorted(DEEPSEEKS)]})), Log())


@pytest.fixture(scope="module")
def grammars(model: Model) -> Grammars:
    return Grammars(model)


def grammar(name: str, choice: ToolChoice = "required", **more: Any) -> Grammar:
    found = call_grammar(FORMS[name], more.pop("offers", OFFERS), choice, **more)
    assert found is not None
    return found


def accepts(grammars: Grammars, model: Model, wanted: Grammar, text: str) -> bool:
    """Is the text, its special tokens meant as such, a whole answer?"""
    tokens = model.tokenize(text, add_special=False, parse_special=True)
    return grammars.start(wanted).allows([*tokens, model.eos]) == len(tokens) + 1


def parsed(name: str, text: str) -> tuple[str, list[tuple[str, Any]]]:
    content, _, calls = sort(FORMS[name].parser(PROMPTS.get(name, "")), [text])
    return content, [(tool, arguments) for _, tool, arguments in calls]


def check(calls: list[tuple[str, Any]]) -> None:
    for tool, arguments in calls:
        if SCHEMAS[tool] is None:
            assert arguments == {}
        else:
            jsonschema.validate(arguments, SCHEMAS[tool])
            assert arguments.keys() <= SCHEMAS[tool]["properties"].keys()


@names
def test_whatever_is_written_is_calls_that_obey(
    name: str, grammars: Grammars, model: Model
) -> None:
    random = np.random.default_rng(1)
    wanted = grammar(name, parallel=False)
    answers = [walk(grammars.start(wanted), model, random) for _ in range(12)]
    whole = [answer.decode() for answer in answers if answer is not None]
    assert len(whole) > 3
    for answer in whole:
        content, calls = parsed(name, answer)
        assert (content, len(calls)) == ("", 1), answer
        check(calls)
    assert len({parsed(name, answer)[1][0][0] for answer in whole}) > 1


CALLS = {
    "hermes": '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
    "tinychat": '<tool_call>{"name":"now","arguments":{}}</tool_call>',
    "llama": '{"name": "now", "parameters": {}}',
    "mistral": '[TOOL_CALLS] [{"name": "now", "arguments": {}}]',
    "named": "[TOOL_CALLS]now[ARGS]{}",
    "granite": '<|tool_call|>[{"name": "now", "arguments": {}}]',
    "nvidia": '<TOOLCALL>[{"name": "now", "arguments": {}}]</TOOLCALL>',
    "firefunction": 'functools[{"name": "now", "arguments": {}}]',
    "unknown": 'CALL:{"name": "now", "arguments": {}}',
    "deepseek-r1": DEEPSEEK_R1.opening
    + DEEPSEEK_R1.before
    + "now\n```json\n{}\n```"
    + DEEPSEEK_R1.after.removeprefix("\n```")
    + DEEPSEEK_R1.closing,
    "coder": "<tool_call>\n<function=now>\n</function>\n</tool_call>",
    "gpt-oss": "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}",
}
FINAL = "<|channel|>final<|message|>"
forms = pytest.mark.parametrize("name", CALLS)


def saying(name: str, text: str) -> str:
    """The text as content of an answer."""
    return FINAL + text if name == "gpt-oss" else text


@forms
def test_calls_have_the_models_own_form(name: str, grammars: Grammars, model: Model) -> None:
    call = CALLS[name]
    assert parsed(name, call) == ("", [("now", {})])
    for wanted in (grammar(name), grammar(name, parallel=False), grammar(name, Named("now"))):
        assert accepts(grammars, model, wanted, call)
        assert not accepts(grammars, model, wanted, saying(name, "Hi"))
        assert not accepts(grammars, model, wanted, call.replace("{}", '{"a":1}') + " ")
    assert not accepts(grammars, model, grammar(name, Named("weather")), call)


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"gpt-oss"}))
def test_there_may_be_several_calls_or_only_one(
    name: str, grammars: Grammars, model: Model
) -> None:
    style = FORMS[name].form
    call = CALLS[name].removeprefix(style.opening).removesuffix(style.closing)
    both = style.opening + call + style.between + call + style.closing
    assert parsed(name, both) == ("", [("now", {})] * 2)
    assert accepts(grammars, model, grammar(name), both)
    assert not accepts(grammars, model, grammar(name, parallel=False), both)
    free = grammar(name, "auto", parallel=False, offers=[Offer("now", strict=False)])
    assert accepts(grammars, model, free, CALLS[name])
    assert not accepts(grammars, model, free, both)


@forms
def test_a_free_answer_obeys_once_a_call_begins(
    name: str, grammars: Grammars, model: Model
) -> None:
    strict = [Offer("now"), Offer("later", strict=False)]
    wanted = grammar(name, "auto", offers=strict)
    call = CALLS[name]
    before = (
        "" if name == "llama" else "<|channel|>commentary<|message|>Well.<|end|><|start|>assistant"
    )
    before = before if name in ("llama", "gpt-oss") else "Well. "
    for text in (saying(name, "It is noon"), before + call, call):
        assert accepts(grammars, model, wanted, text), text
    wrong = call.replace("{}", '{"a":1}') if "{}" in call else call.replace("now", "then")
    assert not accepts(grammars, model, wanted, wrong)
    if "{}" in call:
        assert accepts(grammars, model, wanted, wrong.replace("now", "later"))
    assert not accepts(grammars, model, wanted, f"{call} and text")
    assert call_grammar(FORMS[name], [Offer("now", strict=False)], "auto") is None
    assert call_grammar(FORMS[name], OFFERS, "none") is None


@pytest.mark.parametrize("name", ["hermes", "named", "coder", "gpt-oss"])
def test_an_answer_without_calls_may_have_a_format(
    name: str, grammars: Grammars, model: Model
) -> None:
    content = Grammar("json_schema", '{"enum": ["<tool_call>", 7]}')
    wanted = grammar(name, "auto", content=content)
    assert accepts(grammars, model, wanted, CALLS[name])
    assert accepts(grammars, model, wanted, saying(name, "7"))
    assert not accepts(grammars, model, wanted, saying(name, "8"))
    anything = grammar(name, "auto", content=Grammar("json"))
    assert accepts(grammars, model, anything, saying(name, '{"a":[1]}'))
    assert not accepts(grammars, model, anything, saying(name, "7"))


def test_a_format_that_cannot_be_told_from_a_call_is_refused_or_kept() -> None:
    content = Grammar("regex", "a+")
    for name, kept in (("llama", Grammar("json")), ("hermes", content)):
        with pytest.raises(UsageError, match="cannot be told from the format"):
            call_grammar(FORMS[name], OFFERS, "auto", content=kept)
        free = [Offer("now", strict=False)]
        assert call_grammar(FORMS[name], free, "auto", content=kept) is kept
        assert call_grammar(FORMS[name], [], "auto", content=kept) is kept


def test_gpt_oss_thinks_before_its_call(grammars: Grammars, model: Model) -> None:
    wanted, call = grammar("gpt-oss"), CALLS["gpt-oss"]
    thought = "<|channel|>analysis<|message|>Now < then.<|end|><|start|>assistant"
    assert accepts(grammars, model, wanted, thought + call)
    assert not accepts(grammars, model, wanted, thought + thought + call)
    named = call.replace("now", "re_name").replace("{}", '{"name":"weather"}')
    assert accepts(grammars, model, wanted, named)
    assert parsed("gpt-oss", named) == ("", [("re-name", {"name": "weather"})])


def test_a_choice_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match='names "then", which is not among the tools'):
        call_grammar(FORMS["hermes"], OFFERS, Named("then"))
    with pytest.raises(UsageError, match='"required", but there are no tools'):
        call_grammar(FORMS["hermes"], [], "required")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "object", "not": {}}, '"not" at # .*the parameters of the tool "f"'),
        ({"properties": {"a": {"if": {}}}}, '"if" at #.* the parameters of the tool "f"'),
        ({"type": "array"}, 'their type is not "object", in the parameters of the tool "f"'),
        ({"properties": {"a": {"$ref": "#/properties/b"}}, "required": ["a"]}, '"f"'),
        ({"properties": {}, "required": ["a"]}, "."),
    ],
)
@pytest.mark.parametrize("name", ["hermes", "coder"])
def test_what_cannot_be_enforced_is_refused_by_name(
    schema: dict[str, Any], message: str, name: str, grammars: Grammars
) -> None:
    with pytest.raises(UsageError, match=message):
        grammars.start(grammar(name, offers=[Offer("f", schema)]))


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"properties": {"a>": {}}}, 'the property "a>" cannot be named in a tag'),
        ({"properties": {"a": {"$ref": "#"}}}, 'the \\$ref "#" is not of the form'),
        (
            {"properties": {"a": {"type": "string", "enum": ["</parameter>"]}}},
            "cannot be written between tags",
        ),
        ({"properties": {"a": {"type": "string", "maxLength": -1}}}, "a count is expected"),
        ({"properties": {"a": {}}, "minProperties": 1}, '"minProperties" at # cannot be enforced'),
        ({"properties": []}, "an object of schemas"),
    ],
)
def test_what_tags_cannot_hold_is_refused(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        grammar("coder", offers=[Offer("f", schema)])
