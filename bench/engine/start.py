"""How long until a small model says its first word, and what a server takes that has little to do.

Usage: python -m bench.engine.start [--rounds 9]

modelkit's server runs already and loads the model for the request; llama-server is started for it.
Once with the process that modelkit keeps ready for the next model, and once without.
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
_REST = 2.0  # seconds after which modelkit has its process ready again
_QUESTION = Prompt("What is the capital of France?", 1)


async def load(contender: Contender) -> float:
    """Seconds from a request to its first token, with the model not loaded."""
    model = {"model": contender.model.name}
    await post(contender.server.port, "/api/generate", {**model, "keep_alive": 0})
    while (await contender.get("/api/ps"))["models"]:
        await asyncio.sleep(0.01)
    await asyncio.sleep(_REST)
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
    ready, cold = (
        start_ours(model, parallel=8, context=2048, MODELKIT_SPARE_RUNNER=spare) for spare in "10"
    )
    times: dict[str, list[float]] = {"ready": [], "cold": [], "peer": []}
    try:
        for _ in range(options.rounds):
            times["ready"].append(asyncio.run(load(ready)))
            times["cold"].append(asyncio.run(load(cold)))
            times["peer"].append(start_and_ask(model))
        memory = sorted(ready.server.memory().values())
    finally:
        ready.server.stop()
        cold.server.stop()
    mine, without, theirs = (1000 * statistics.median(found) for found in times.values())
    print(f"load to first token: {mine:.0f} ms, ratio {mine / theirs:.2f}; "
          f"with no process ready: {without:.0f} ms, ratio {without / theirs:.2f}; "
          f"llama-server's start to first token: {theirs:.0f} ms")  # fmt: skip
    print("resident memory, MB: " + ", ".join(f"{size / 2**20:.0f}" for size in memory))
    return int(mine / theirs > _BAR)


if __name__ == "__main__":
    sys.exit(main())
