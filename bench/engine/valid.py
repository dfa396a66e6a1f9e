"""Do answers of a model that knows nothing obey their schema? Random weights, hot sampling.

Usage: python -m bench.engine.valid [--answers 1000]

Exits with 1 when one of the answers is not valid by the jsonschema package.
"""

import argparse
import asyncio
import json
import sys

import jsonschema

from bench.engine.contenders import Contender, Prompt, start_ours
from bench.engine.models import synthetic
from bench.engine.scenarios import SCHEMA, words

_STREAMS = 8


async def count(server: Contender, answers: int) -> tuple[int, int]:
    """How many answers are valid, and how many characters they have together."""
    turns = iter(range(answers))
    checker = jsonschema.Draft202012Validator(SCHEMA)
    valid = characters = 0

    async def stream() -> None:
        nonlocal valid, characters
        for turn in turns:
            prompt = Prompt(words(16, turn), 1000, 1.5, turn, SCHEMA, stop_at_end=True)
            text = (await server.generate(prompt)).text
            characters += len(text)
            valid += _obeys(checker, text)

    await asyncio.gather(*(stream() for _ in range(_STREAMS)))
    return valid, characters


def _obeys(checker: jsonschema.Draft202012Validator, text: str) -> bool:
    try:
        return bool(checker.is_valid(json.loads(text)))
    except ValueError:
        return False


def main() -> int:
    """Ask, count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=1000)
    options = parser.parse_args()
    contender = start_ours(synthetic("q4_k_m"), parallel=_STREAMS, context=2048)
    try:
        valid, characters = asyncio.run(count(contender, options.answers))
    finally:
        contender.server.stop()
    print(f"{valid} of {options.answers} answers valid, {characters:,} characters")
    return int(valid < options.answers)


if __name__ == "__main__":
    sys.exit(main())
