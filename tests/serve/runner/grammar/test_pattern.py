"""Whatever a translated pattern matches, the original matches, in Python's dialect as well."""

from __future__ import annotations

import json
import re

import pytest
from llguidance import LLMatcher
from llguidance._lib import LLTokenizer

from modelkit.errors import UsageError
from modelkit.serve.runner.grammar.grammars import Grammars
from modelkit.serve.runner.grammar.pattern import translate
from modelkit.serve.runner.grammar.vocabulary import build_tokenizer
from modelkit.serve.runner.llama.model import Model
from modelkit.serve.types import Grammar

_CHARACTERS = [*map(chr, range(128)), *"éÀ٣²_\xa0\u2028\u2029\ufeffπ文", "\U0001f600"]

_PATTERNS = [
    *(r"^\d$", r"^\D$", r"^\w$", r"^\W$", r"^\s$", r"^\S$", r"^.$"),
    *(r"^[^\d]$", r"^[^\D]$", r"^[^\w]$", r"^[^\W]$", r"^[^\s]$", r"^[^\S]$", r"^[\w.-]$"),
    *(r'^[^"]$', r"^[^\\]$", r'^[^"\\]$', r"^[^a]$", r"^[^\n]$", r"^[^\\\n]$", r"^[^^]$"),
    *(r"^[\x00-\x1f]$", r"^[\x01-\x1f]$", r"^[\x08-\x0d]$", r"^[^\x20-\x7e]$", r"^[\t\n]$"),
    *(r"^[-a]$", r"^[a-]$", r"^[+-.]$", r"^[a\-z]$", r"^[\]]$", r"^[\^]$", r"^\u0041|\x42$"),
    *(r"^]$", r"^}$", r"^\/$", r"^\.$", r"^\|$", r"^#$", r"^ $", r"^(a|\s)$", r"^(?:\"|[^\"])$"),
]


@pytest.fixture(scope="module")
def tokenizer(model: Model) -> LLTokenizer:
    return build_tokenizer(model)


def _matches(constraint: LLMatcher, tokenizer: LLTokenizer, text: str) -> bool:
    matcher = constraint.deep_copy()
    tokens = tokenizer.tokenize_str(json.dumps(text, ensure_ascii=False))
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


@pytest.mark.parametrize("pattern", _PATTERNS)
def test_a_translation_matches_no_more_than_the_original(
    pattern: str, grammars: Grammars, tokenizer: LLTokenizer
) -> None:
    source = json.dumps({"type": "string", "pattern": pattern})
    matcher = grammars.start(Grammar("json_schema", source))._matcher
    matched = {c for c in _CHARACTERS if _matches(matcher, tokenizer, c)}
    python = {c for c in _CHARACTERS if re.search(pattern, c)}
    assert matched <= python
    # What goes missing: control characters without a short escape, and where dialects differ.
    missing = {c for c in python - matched if " " <= c < "\x7f" or c in "\n\t"}
    assert missing <= ({"\n"} if python == matched | {"\n"} else set())


def test_only_patterns_without_classes_mean_the_same_everywhere() -> None:
    assert translate("^x-[a-z]+$").exact
    assert not translate(r"^\w+$").exact
    assert not translate("^.*$").exact


def test_characters_beyond_16_bits_may_be_spelt_as_two_surrogates() -> None:
    assert translate(r"\ud83d\ude00").pattern == r"\u{1F600}" == translate(r"\u{1f600}").pattern


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("(?=a)", '"(?="'),
        ("(?<!a)b", '"(?<"'),
        ("(?i)a", '"(?i"'),
        ("(?P<a>b)", '"(?P"'),
        (r"\ba", r'"\b"'),
        (r"(a)\1", r'"\1"'),
        (r"\k<a>", r'"\k"'),
        (r"\cA", r'"\c"'),
        (r"\pL", r'"\p"'),
        (r"\07", "octal"),
        (r"\x00", "NUL"),
        (r"\u{110000}", "beyond Unicode"),
        (r"\ud83d", "surrogate"),
        (r"\udc00", "surrogate"),
        ("a{,3}", '"{"'),
        ("[]a]", "empty set"),
        ("[^]", "empty set"),
        ("[a", "set without end"),
        (r"[\w-z]", "begins with a class"),
        (r"[a-\d]", "ends with a class"),
        ("[a--b]", "hyphen"),
        ("a\\", '"\\"'),
    ],
)
def test_constructs_that_dialects_lack_are_named(pattern: str, named: str) -> None:
    with pytest.raises(UsageError) as caught:
        translate(pattern)
    assert named in caught.value.message
