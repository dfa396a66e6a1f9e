"""How long until a small model says its first word, and what a server takes that has little to do.

Usage: python -m bench.engine.start [--rounds 9]

modelkit's server runs already and loads the model for the request; llama-server is started for it.
Exits with 1 when modelkit takes more than 1.5 times as long.
"""

import argparse
import asyncio
import statistics
import sys
import time

from bench.engine.client import post
from bench.engine.contenders import Contender, Prompt, start_ours, start_peer
from bench.engine.models import BenchModel, tinychat

_BAR = 1.5
_QUESTION = Prompt("What is the capital of France?", 1)


async def load(contender: Contender) -> float:
    """Seconds from a request to its first token, with the model not loaded."""
    model = {"model": contender.model.name}
    await post(contender.server.port, "/api/generate", {**model, "keep_alive": 0})
    while (await contender.get("/api/ps"))["models"]:
        await asyncio.sleep(0.01)
    return (await contender.generate(_QUESTION)).first


def start_and_ask(model: BenchModel) -> float:
    """Seconds from llama-server's start to its first token."""
    began = time.perf_counter()
    contender = start_peer(model, parallel=8, context=2048)
    try:
        asyncio.run(contender.generate(_QUESTION))
        return time.perf_counter() - began
    finally:
        contender.server.stop()


def main() -> int:
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    model = tinychat()
    contender = start_ours(model, parallel=8, context=2048)
    ours, theirs = [], []
    try:
        for _ in range(options.rounds):
            ours.append(asyncio.run(load(contender)))
            theirs.append(start_and_ask(model))
        memory = sorted(contender.server.memory().values())
    finally:
        contender.server.stop()
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(f"load to first token: {1000 * statistics.median(ours):.0f} ms, llama-server's start to "
          f"first token: {1000 * statistics.median(theirs):.0f} ms, ratio {ratio:.2f}")  # fmt: skip
    print("resident memory, MB: " + ", ".join(f"{size / 2**20:.0f}" for size in memory))
    return int(ratio > _BAR)


if __name__ == "__main__":
    sys.exit(main())
