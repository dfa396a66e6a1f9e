"""What is measured: each scenario takes both contenders in turns and gives one number a turn."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from bench.engine.client import Answer
from bench.engine.contenders import Contender, Prompt

Measure = Callable[[Contender, int], Coroutine[Any, Any, float]]
Prepare = Callable[[Contender, int], Coroutine[Any, Any, None]]

SCHEMA = {
    "type": "object",
    "properties": {
        "customer_name": {"type": "string", "maxLength": 12},
        "shipping_address": {
            "type": "object",
            "properties": {
                "street_and_number": {"type": "string", "maxLength": 12},
                "postal_code": {"type": "integer", "minimum": 10000, "maximum": 99999},
                "country_of_residence": {"enum": ["Norway", "Sweden", "Denmark"]},
            },
            "required": ["street_and_number", "postal_code", "country_of_residence"],
            "additionalProperties": False,
        },
        "preferred_payment_method": {"enum": ["invoice", "credit_card", "bank_transfer"]},
        "newsletter_subscription": {"type": "boolean"},
        "number_of_previous_orders": {"type": "integer", "minimum": 0, "maximum": 999},
    },
    "required": [
        "customer_name",
        "shipping_address",
        "preferred_payment_method",
        "newsletter_subscription",
        "number_of_previous_orders",
    ],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Scenario:
    """`higher` says which way is better; `bar` is the ratio ours to peer that we promise.

    A round begins with `prepare` for each contender; then they are measured in turns, `turns`
    times each.
    """

    name: str
    unit: str
    higher: bool
    bar: float
    measure: Measure
    prepare: Prepare | None = None
    turns: int = 1


def words(count: int, seed: object) -> str:
    """A text of `count` words; the synthetic vocabulary has one token for each."""
    choose = random.Random(str(seed)).randrange
    return " ".join(f"w{choose(9000)}" for _ in range(count))


def single(tokens: int, temperature: float) -> Measure:
    """Tokens a second of one stream, from its first token to its last."""

    async def measure(contender: Contender, round_: int) -> float:
        prompt = Prompt(words(16, f"single {round_}"), tokens, temperature, seed=round_)
        answer = await contender.generate(prompt)
        return (answer.tokens - 1) / answer.decode

    return measure


def parallel(streams: int, tokens: int, temperature: float) -> Measure:
    """Tokens a second of many streams together, from the first request to the last token."""

    async def measure(contender: Contender, round_: int) -> float:
        prompts = [
            Prompt(words(16, f"{streams} {round_} {stream}"), tokens, temperature, seed=stream)
            for stream in range(streams)
        ]
        began = time.perf_counter()
        answers = await asyncio.gather(*map(contender.generate, prompts))
        return sum(answer.tokens for answer in answers) / (time.perf_counter() - began)

    return measure


def first_token(length: int) -> Measure:
    """Milliseconds to the first token of a prompt that was never seen."""

    async def measure(contender: Contender, round_: int) -> float:
        answer = await contender.generate(Prompt(words(length, f"cold {round_}"), 2))
        return answer.first * 1000

    return measure


def first_token_again(length: int) -> Measure:
    """Milliseconds to the first token of a prompt whose beginning `read_first` had read."""
    turns = itertools.count()

    async def measure(contender: Contender, round_: int) -> float:
        text = f"{_warm(length, round_)} {words(8, next(turns))}"
        return (await contender.generate(Prompt(text, 2))).first * 1000

    return measure


def read_first(length: int) -> Prepare:
    """Let a contender read what `first_token_again` goes on with."""

    async def prepare(contender: Contender, round_: int) -> None:
        await contender.generate(Prompt(_warm(length, round_), 8))

    return prepare


def _warm(length: int, round_: int) -> str:
    return words(length, f"warm {round_}")


def gap_under_load(streams: int, tokens: int, length: int) -> Measure:
    """The 99th percentile of milliseconds between tokens while a long prompt is read."""

    async def measure(contender: Contender, round_: int) -> float:
        prompts = [
            Prompt(words(16, f"mixed {round_} {stream}"), tokens, HOT, seed=stream)
            for stream in range(streams)
        ]
        writing = [asyncio.create_task(contender.generate(prompt)) for prompt in prompts]
        await asyncio.sleep(0.3)
        await contender.generate(Prompt(words(length, f"long {round_}"), 2))
        return 1000 * _percentile(await asyncio.gather(*writing), 0.99)

    return measure


def structured(answers: int) -> Measure:
    """Tokens a second of answers that obey a schema with many fixed keys, one after the other.

    A token is one of the text that comes out, counted alike for both: four characters.
    """

    async def measure(contender: Contender, round_: int) -> float:
        characters, began = 0, time.perf_counter()
        for number in range(answers):
            prompt = Prompt(
                words(16, f"json {round_} {number}"),
                400,
                temperature=1.0,
                seed=number,
                schema=SCHEMA,
                stop_at_end=True,
            )
            characters += len((await contender.generate(prompt)).text)
        return characters / 4 / (time.perf_counter() - began)

    return measure


def embeddings(sentences: Sequence[str]) -> Measure:
    """Sentences a second, in requests of 100."""

    async def measure(contender: Contender, round_: int) -> float:
        began = time.perf_counter()
        for start in range(0, len(sentences), 100):
            await contender.embed([f"{text} {round_}" for text in sentences[start : start + 100]])
        return len(sentences) / (time.perf_counter() - began)

    return measure


def _percentile(answers: Sequence[Answer], part: float) -> float:
    gaps = sorted(gap for answer in answers for gap in answer.gaps)
    return gaps[min(int(part * len(gaps)), len(gaps) - 1)]


SENTENCES = tuple(words(12, number).replace("w", "word ") for number in range(1000))
HOT = 100.0
"""A temperature at which no model repeats itself: we would end its answer."""
SINGLE = Scenario("one stream", "tokens/s", True, 0.98, single(128, HOT))
PARALLEL_8 = Scenario("8 streams", "tokens/s", True, 1.0, parallel(8, 96, HOT))
PARALLEL_32 = Scenario("32 streams", "tokens/s", True, 1.0, parallel(32, 64, HOT))
FIRST_TOKEN = Scenario("first token, prompt of 2,000", "ms", False, 1.05, first_token(2000))
FIRST_AGAIN = Scenario(
    "first token, prompt cached",
    "ms",
    False,
    1.0,
    first_token_again(2000),
    prepare=read_first(2000),
    turns=8,
)
MIXED = Scenario(
    "p99 gap, prompt of 4,000 beside 8", "ms", False, 1.0, gap_under_load(8, 200, 4000)
)
STRUCTURED = Scenario("JSON schema", "tokens/s", True, 1.5, structured(4))
EMBEDDINGS = Scenario(
    "embeddings, 1,000 sentences",
    "sentences/s",
    True,
    1.0,
    embeddings(SENTENCES),
)
