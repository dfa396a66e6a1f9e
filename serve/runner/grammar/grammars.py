"""Compiled grammars: one per source, kept while they are in use."""

from __future__ import annotations

import json
import os
import re
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING

from modelkit.errors import UsageError
from modelkit.serve.runner.grammar.constraint import Constraint
from modelkit.serve.runner.grammar.schema import MAX_LENGTH, normalise
from modelkit.serve.runner.grammar.vocabulary import build_tokenizer

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer
    from llguidance._lib import JsonCompileOptions

    from modelkit.serve.runner.llama.model import Model
    from modelkit.serve.types import Grammar

_CACHED = 32
_MAX_THREADS = 4
# About 2 kB each, for every place in a text where the grammar can be: 100 MB at most.
_MAX_LEXER_STATES = 50_000
_MAX_REASON = 400
# llguidance follows rules from one to the next on the stack: some thousands would overflow it.
_MAX_RULES = 1000

# No \uXXXX: every string then has one spelling, so a property cannot hide behind another one.
_STRINGS: JsonCompileOptions = {
    "json_allowed_escapes": 'nrbtf\\"',
    "lenient": False,
    "coerce_one_of": False,
}
# An answer to a schema is compact: from a key's first quote to its value all is forced, and what is
# forced is not sampled but read at the speed of a prompt.
_COMPACT: JsonCompileOptions = {
    **_STRINGS,
    "whitespace_flexible": False,
    "item_separator": ",",
    "key_separator": ":",
}
# Without a schema nothing is forced and a model writes as it is used to, though never blanks alone.
_RELAXED: JsonCompileOptions = {**_STRINGS, "whitespace_pattern": r" |\n{1,2}[ \t]{0,20}"}

_LARK_TOKENS = re.compile(
    r'"(?:\\.|[^"\\])*"|/(?:\\.|[^/\\\n])+/|//[^\n]*|#[^\n]*|:|(?P<json>%json\s*)'
)


class Grammars:
    """The grammars of one runner. Thread-safe; `start` is for any thread but the decode loop's."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._tokenizer: LLTokenizer | None = None
        self._compiled: OrderedDict[Grammar, LLMatcher] = OrderedDict()
        self._building, self._lock = Lock(), Lock()
        threads = min(_MAX_THREADS, len(os.sched_getaffinity(0)))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="grammar")

    def start(self, grammar: Grammar) -> Constraint:
        """A new answer's constraint; the first one for a grammar pays for its compilation.

        Raises UsageError, saying why, for a grammar that is not valid, not enforced in every
        detail, or too complex; EngineError when the vocabulary is not fit for grammars.
        """
        with self._lock:
            compiled = self._compiled.get(grammar)
        if compiled is None:
            compiled = self._compile(grammar)
        with self._lock:
            self._compiled[grammar] = compiled
            self._compiled.move_to_end(grammar)
            while len(self._compiled) > _CACHED:
                self._compiled.popitem(last=False)
            matcher = compiled.deep_copy()
        return Constraint(matcher, self._pool, self._model.n_vocab)

    def _compile(self, grammar: Grammar) -> LLMatcher:
        from llguidance import LLMatcher, LLParserLimits

        source = _translate(grammar)
        limits = LLParserLimits(max_lexer_states=_MAX_LEXER_STATES, verbose_errors=False)
        matcher = LLMatcher(self._vocabulary(), source, log_level=0, limits=limits)
        first = b"" if matcher.is_error() else matcher.compute_bitmask()
        if matcher.is_error():
            reason = " ".join(matcher.get_error().split())[:_MAX_REASON]
            raise UsageError(f"the {_title(grammar)} cannot be enforced: {reason}")
        if not any(first):
            raise UsageError(f"the {_title(grammar)} allows no answer at all")
        return matcher

    def _vocabulary(self) -> LLTokenizer:
        with self._building:
            if self._tokenizer is None:
                self._tokenizer = build_tokenizer(self._model)
            return self._tokenizer


def _title(grammar: Grammar) -> str:
    return {"json_schema": "JSON schema", "regex": "regular expression"}.get(
        grammar.kind, f"{grammar.kind} grammar"
    )


def _translate(grammar: Grammar) -> str:
    """The grammar as llguidance takes it."""
    from llguidance import LLMatcher

    source = grammar.source
    if len(source) > MAX_LENGTH:
        raise UsageError(f"the {_title(grammar)} has more than {MAX_LENGTH} characters")
    try:
        match grammar.kind:
            case "json":
                return LLMatcher.grammar_from_json_schema({"type": "object"}, overrides=_RELAXED)
            case "json_schema":
                return LLMatcher.grammar_from_json_schema(normalise(source), overrides=_COMPACT)
            case "regex":
                return LLMatcher.grammar_from_regex(source)
            case "lark":
                return LLMatcher.grammar_from_lark(_checked(source))
            case "gbnf":
                from modelkit.serve.runner.grammar.gbnf import to_lark

                return LLMatcher.grammar_from_lark(_checked(to_lark(source)))
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:_MAX_REASON]
        raise UsageError(f"the {_title(grammar)} cannot be read: {reason}") from error


def _checked(source: str) -> str:
    """A Lark grammar of bearable size, whose `%json {...}` are as strict as schemas alone."""
    parts, at, rules = [], 0, 0
    while found := _LARK_TOKENS.search(source, at):
        parts.append(source[at : found.end()])
        rules += found[0] == ":"
        at = found.end()
        if found["json"] is None:
            continue
        schema, at = json.JSONDecoder().raw_decode(source, at)
        strict = {**normalise(json.dumps(schema)), "x-guidance": _COMPACT}
        parts.append(json.dumps(strict))
    if rules > _MAX_RULES:
        raise UsageError(f"the grammar has more than {_MAX_RULES} rules")
    return "".join([*parts, source[at:]])
