"""What guessing ahead brings: a draft model, and looking up what was said, against neither.

Usage: python -m bench.engine.guesses [--prompts 200] [--rounds 3]

Tinychat answers the prompts of its evaluation greedily, one at a time. Exits with 1 when a guess
changed an answer.
"""

import argparse
import asyncio
import statistics
import sys
import time
from itertools import chain

from bench.engine.contenders import Contender, Prompt, start_ours
from bench.engine.models import BenchModel, tinychat, tinychat_with_draft
from fixtures.tinychat.chat import prompt
from fixtures.tinychat.heldout import heldout

_LOOK_UP = {"draft_num_predict": 6}
_TOKENS = 128


def prompts(count: int) -> list[str]:
    """Prompts of all skills in turn."""
    skills = [[prompt(example) for example in examples] for examples in heldout().values()]
    return list(chain.from_iterable(zip(*skills, strict=True)))[:count]


async def answers(contender: Contender, texts: list[str], options: dict[str, int]) -> list[str]:
    """The answer to each prompt."""
    return [
        (
            await contender.generate(
                Prompt(text, _TOKENS, stop_at_end=True, options={**options, "num_ctx": 1024})
            )
        ).text
        for text in texts
    ]


def measure(
    contenders: dict[str, tuple[Contender, dict[str, int]]], texts: list[str], rounds: int
) -> tuple[dict[str, list[str]], dict[str, float]]:
    """Texts and the median seconds of each way, asked in turns."""
    found: dict[str, list[str]] = {}
    seconds: dict[str, list[float]] = {way: [] for way in contenders}
    with asyncio.Runner() as loop:
        for _ in range(rounds):
            for way, (contender, options) in contenders.items():
                loop.run(answers(contender, texts[:1], options))
                began = time.perf_counter()
                found[way] = loop.run(answers(contender, texts, options))
                seconds[way].append(time.perf_counter() - began)
    return found, {way: statistics.median(times) for way, times in seconds.items()}


def start(model: BenchModel) -> Contender:
    """A server without copies of prefixes: every round reads its prompts anew."""
    return start_ours(model, parallel=1, context=1024, MODELKIT_PREFIX_CACHE_MEMORY="0")


def main() -> int:
    """Ask, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    plain, looking, drafting = start(tinychat()), start(tinychat()), start(tinychat_with_draft())
    ways = {"plain": (plain, {}), "lookup": (looking, _LOOK_UP), "draft": (drafting, {})}
    try:
        found, seconds = measure(ways, prompts(options.prompts), options.rounds)
    finally:
        for contender in (plain, looking, drafting):
            contender.server.stop()
    same = True
    for way in ways:
        equal = sum(a == b for a, b in zip(found[way], found["plain"], strict=True))
        same &= equal == options.prompts
        print(
            f"{way}: {equal} of {options.prompts} texts as without guesses, {seconds[way]:.2f} s, "
            f"{seconds['plain'] / seconds[way]:.2f} times as fast"
        )
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
