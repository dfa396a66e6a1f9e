"""Answers that must obey a schema or grammar, from real runners with random weights."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import jsonschema
import pytest

from modelkit.errors import EngineError, UsageError
from modelkit.serve.types import Finished, Generation, Grammar, Piece, Sampling
from tests.serve.runner.conftest import Start, collect

_SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "kind": {"enum": ["cat", "dog", None]},
        "sizes": {"type": "array", "items": {"type": "integer", "maximum": 999}, "maxItems": 3},
        "born": {"type": "string", "format": "date"},
    },
    "required": ["name", "kind", "sizes", "born"],
    "additionalProperties": False,
}
_JSON_SCHEMA = Grammar("json_schema", json.dumps(_SCHEMA))


def _wild(seed: int, grammar: Grammar | None = _JSON_SCHEMA, **options: object) -> Generation:
    sampling = Sampling(temperature=1.5, top_k=0, top_p=1.0, seed=seed, num_predict=400)
    return Generation("ba be bi", sampling, grammar=grammar, **options)  # type: ignore[arg-type]


def _greedy(grammar: Grammar | None = None, num_predict: int = 24) -> Generation:
    sampling = Sampling(temperature=0.0, num_predict=num_predict)
    return Generation("ba be bi", sampling, grammar=grammar)


@pytest.mark.parametrize("weights", ["llama", "chat_llama"])
async def test_every_answer_is_valid_however_wild_the_model(
    weights: str, start: Start, request: pytest.FixtureRequest
) -> None:
    runner = await start(request.getfixturevalue(weights), num_parallel=8)
    answers = await asyncio.gather(*(collect(runner, _wild(seed)) for seed in range(50)))
    for text, finished in answers:
        assert finished.reason == "stop"
        jsonschema.validate(json.loads(text), _SCHEMA, format_checker=jsonschema.FormatChecker())
    assert len({text for text, _ in answers}) > 25


async def test_a_neighbour_without_grammar_writes_as_if_alone(start: Start, llama: Path) -> None:
    runner = await start(llama, num_parallel=4)
    alone, _ = await collect(runner, _greedy())
    *_, (beside, _) = await asyncio.gather(
        *(collect(runner, _wild(seed)) for seed in range(3)), collect(runner, _greedy())
    )
    assert beside == alone


async def test_a_schema_that_is_not_enforced_fails_before_any_token(
    start: Start, llama: Path
) -> None:
    runner = await start(llama)
    refused = _wild(1, Grammar("json_schema", '{"properties": {"x": {"contains": {}}}}'))
    with pytest.raises(UsageError, match='"contains" at #/properties/x'):
        await anext(runner.generate(refused))
    assert (await runner.stats()).decoded == 0


async def test_fixed_text_is_read_and_not_sampled_token_by_token(start: Start, llama: Path) -> None:
    runner = await start(llama)
    fixed = "bababa " * 12
    request = _greedy(Grammar("regex", f"{fixed}(da|de)"), num_predict=100)
    texts = [event.text async for event in runner.generate(request) if isinstance(event, Piece)]
    assert "".join(texts)[: len(fixed)] == fixed
    # One piece of text comes out of one step.
    assert len(texts) < 6


async def test_logprobs_come_for_fixed_text_too(start: Start, llama: Path) -> None:
    runner = await start(llama)
    request = Generation("ba", Sampling(temperature=0.0), logprobs=0, grammar=_JSON_SCHEMA)
    events = [event async for event in runner.generate(request)]
    finished = events[-1]
    assert isinstance(finished, Finished)
    entries = [entry for event in events if isinstance(event, Piece) for entry in event.logprobs]
    spelt = b"".join(bytes(entry.bytes) for entry in entries).decode()
    assert spelt == "".join(event.text for event in events if isinstance(event, Piece))
    assert json.loads(spelt)["sizes"] is not None


async def test_a_grammar_that_cannot_go_on_fails_its_own_answer(start: Start, llama: Path) -> None:
    runner = await start(llama, num_parallel=2)
    alone, _ = await collect(runner, _greedy())
    neighbour = asyncio.create_task(collect(runner, _greedy()))
    with pytest.raises(EngineError, match="the grammar cannot go on"):
        await collect(runner, _greedy(Grammar("gbnf", 'root ::= "a" root')))
    text, _ = await neighbour
    assert text == alone
    assert runner.alive


async def test_a_limit_cuts_an_answer_short(start: Start, llama: Path) -> None:
    runner = await start(llama)
    text, finished = await collect(runner, _greedy(_JSON_SCHEMA, num_predict=5))
    assert (finished.reason, finished.tokens) == ("length", 5)
    assert text.startswith('{"')
