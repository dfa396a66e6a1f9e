"""Compiled grammars: one per source, kept while they are in use."""

from __future__ import annotations

import os
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING

from modelkit.errors import UsageError
from modelkit.serve.runner.grammar.constraint import Constraint
from modelkit.serve.runner.grammar.lark import strict_lark
from modelkit.serve.runner.grammar.schema import MAX_LENGTH, normalise
from modelkit.serve.runner.grammar.spelling import COMPACT, RELAXED
from modelkit.serve.runner.grammar.vocabulary import build_tokenizer, special_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llguidance import LLMatcher, LLTokenizer

    from modelkit.serve.runner.llama.model import Model
    from modelkit.serve.types import Grammar

_CACHED = 32
_MAX_THREADS = 4
# About 2 kB each, for every place in a text where the grammar can be: 100 MB at most.
_MAX_LEXER_STATES = 50_000
_MAX_REASON = 400


class Grammars:
    """The grammars of one runner. Thread-safe; `start` is for any thread but the decode loop's."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._tokenizer: LLTokenizer | None = None
        self._special_tokens: dict[str, int] | None = None
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

        source = _translate(grammar, self._special)
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

    def _special(self) -> dict[str, int]:
        with self._building:
            if self._special_tokens is None:
                self._special_tokens = special_tokens(self._model)
            return self._special_tokens


def _title(grammar: Grammar) -> str:
    return {"json_schema": "JSON schema", "regex": "regular expression"}.get(
        grammar.kind, f"{grammar.kind} grammar"
    )


def _translate(grammar: Grammar, special: Callable[[], Mapping[str, int]]) -> str:
    """The grammar as llguidance takes it."""
    from llguidance import LLMatcher

    source = grammar.source
    if len(source) > MAX_LENGTH:
        raise UsageError(f"the {_title(grammar)} has more than {MAX_LENGTH} characters")
    try:
        match grammar.kind:
            case "json":
                return LLMatcher.grammar_from_json_schema({"type": "object"}, overrides=RELAXED)
            case "json_schema":
                return LLMatcher.grammar_from_json_schema(normalise(source), overrides=COMPACT)
            case "regex":
                return LLMatcher.grammar_from_regex(source)
            case "lark":
                return LLMatcher.grammar_from_lark(strict_lark(source, special))
            case "gbnf":
                from modelkit.serve.runner.grammar.gbnf import to_lark

                return LLMatcher.grammar_from_lark(strict_lark(to_lark(source), special))
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:_MAX_REASON]
        raise UsageError(f"the {_title(grammar)} cannot be read: {reason}") from error
