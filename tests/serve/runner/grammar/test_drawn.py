"""Schemas drawn by chance over every keyword: each is enforced or refused, too."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from jsonschema_specifications import REGISTRY

from modelkit.serve.runner.grammar.grammars import Grammars
from modelkit.serve.runner.llama.model import Model
from tests.serve.runner.grammar.drawn import FORMATS, KEYWORDS, drawn
from tests.serve.runner.grammar.judge import Judge
from tests.serve.runner.grammar.scoring import EMPTY, ENFORCED, REFUSED, refusal, score

_COUNT = 220
_ANSWERS = 4


def test_every_keyword_of_the_draft_is_drawn() -> None:
    draft = [uri for uri in REGISTRY if "draft/2020-12" in uri]
    keywords = {key for uri in draft for key in REGISTRY.contents(uri).get("properties", {})}
    assert len(keywords) > 60
    assert keywords == {key for draws in KEYWORDS.values() for key in draws}
    assert all(repr(keyword) in repr(schema) for keyword, schema in drawn(500))
    written = repr(list(drawn(2000)))
    assert [name for name in FORMATS if f"'{name}'" not in written] == []


def test_drawn_schemas_are_enforced_or_refused_by_name(
    grammars: Grammars, model: Model, sentencepiece: Model
) -> None:
    places = [(grammars, model), (Grammars(sentencepiece), sentencepiece)]
    outcomes: Counter[str] = Counter()
    for number, (keyword, schema) in enumerate(drawn(_COUNT)):
        found = score(schema, places, np.random.default_rng(number), _ANSWERS)
        assert not found.faults, (keyword, schema)
        outcomes[found.outcome] += 1
    assert outcomes[ENFORCED] > _COUNT // 3
    assert outcomes[REFUSED] > _COUNT // 3
    assert outcomes[EMPTY] < _COUNT // 6


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ({"maximum": 3}, "4"),
        ({"properties": {"a": {"type": "null"}}}, '{"a":1,"a":null}'),
        ({"properties": {"a": {"type": "null"}}}, '{"a":null,"a":1}'),
        ({"multipleOf": 0.01}, "0.001"),
        ({"format": "hostname"}, '"-a.b"'),
        ({"format": "uri"}, '"a b:c"'),
        ({"format": "duration"}, '"P1H"'),
        ({"format": "email"}, '"a@b@c"'),
        ({}, "[1,"),
    ],
)
def test_the_judge_sees_what_is_wrong(schema: object, answer: str) -> None:
    assert Judge(schema).fault(answer)


def test_a_refusal_must_name_a_keyword_or_be_right_that_nothing_is_valid() -> None:
    assert refusal({"not": {}}, "no").faults
    assert refusal({"maximum": 3}, "no finite value matches").faults
    assert not refusal({"not": {}}, '"not" at #').faults
    assert not refusal(False, "no finite value matches").faults
