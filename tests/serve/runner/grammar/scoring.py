"""What becomes of a schema: every answer obeys it, or it is refused and the refusal says why."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from modelkit.errors import EngineError, UsageError
from modelkit.serve.types import Grammar
from tests.serve.runner.grammar.drawn import KEYWORDS
from tests.serve.runner.grammar.judge import Judge
from tests.serve.runner.grammar.walks import walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from modelkit.serve.runner.grammar.grammars import Grammars
    from modelkit.serve.runner.llama.model import Model

ENFORCED, REFUSED, EMPTY = "enforced", "refused by name", "nothing satisfies it"

# Besides the keywords: how refusals call "$ref" and the two of "minProperties" and "maxProperties".
_NAMES = [*(name for draws in KEYWORDS.values() for name in draws), "references", "min/max"]
_NAMED = re.compile("|".join(map(re.escape, _NAMES)))
_EMPTY = re.compile("Unsatisfiable|no finite value|allows no answer")
_FLAT = (None, True, False, 0, 1, -1, 2, 7, 10, 100, 0.5, 12345, "", "a", "ab", "red", "x", "123")
_VALUES: list[Any] = [
    *(*_FLAT, [], {}, *([value] for value in _FLAT)),
    *({name: value} for name, value in product("abcdvz", _FLAT)),
    *(dict(zip("abcd", four, strict=True)) for four in product((None, 1, "a"), repeat=4)),
]


class Score(NamedTuple):
    """The outcome, how many answers were whole, how many too long, and what was wrong."""

    outcome: str
    answers: int = 0
    cut: int = 0
    faults: tuple[str, ...] = ()


def refusal(schema: Any, message: str) -> Score:
    """A refused schema: named is what is not enforced, or nothing we can think of is valid."""
    if not _EMPTY.search(message):
        unnamed = () if _NAMED.search(message) else (f"refused without a name: {message}",)
        return Score(REFUSED, faults=unnamed)
    judge = Judge(schema)
    valid = next((text for text in map(json.dumps, _VALUES) if not judge.fault(text)), None)
    return Score(EMPTY, faults=(f"{valid} is valid, but: {message}",) if valid else ())


def score(
    schema: Any,
    places: Sequence[tuple[Grammars, Model]],
    random: np.random.Generator,
    answers: int,
) -> Score:
    """Ask this often for an answer, in turns over the vocabularies."""
    grammar, judge = Grammar("json_schema", json.dumps(schema)), Judge(schema)
    whole = cut = 0
    faults: list[str] = []
    for turn in range(answers):
        grammars, model = places[turn % len(places)]
        try:
            answer = walk(grammars.start(grammar), model, random)
        except UsageError as error:
            return refusal(schema, error.message)
        except EngineError as error:
            faults.append(f"an answer could not go on: {error.message}")
            continue
        if answer is None:
            cut += 1
            continue
        whole += 1
        if fault := judge.fault(answer):
            faults.append(f"{answer!r}: {fault}")
    return Score(ENFORCED, whole, cut, tuple(faults))
