"""A schema is either refused by name, or every answer that its grammar allows is valid."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
import pytest

from modelkit.errors import UsageError
from modelkit.serve.runner.grammar.grammars import Grammars
from modelkit.serve.runner.llama.model import Model
from modelkit.serve.types import Grammar
from tests.serve.runner.grammar.judge import Judge
from tests.serve.runner.grammar.schemas import ENFORCED, REFUSED
from tests.serve.runner.grammar.walks import walk

_WALKS = 50


@pytest.mark.parametrize("name", ENFORCED)
def test_every_answer_is_valid(name: str, grammars: Grammars, model: Model) -> None:
    source = json.dumps(ENFORCED[name])
    judge = Judge(ENFORCED[name])
    random = np.random.default_rng(zlib.crc32(name.encode()))
    answers = set()
    for _ in range(_WALKS):
        answer = walk(grammars.start(Grammar("json_schema", source)), model, random)
        if answer is not None:
            assert not judge.fault(answer), answer
            answers.add(answer)
    assert answers


@pytest.mark.parametrize(("schema", "message"), REFUSED)
def test_what_is_not_enforced_is_refused_by_name(
    schema: Any, message: str, grammars: Grammars
) -> None:
    with pytest.raises(UsageError) as caught:
        grammars.start(Grammar("json_schema", json.dumps(schema)))
    assert message in caught.value.message
