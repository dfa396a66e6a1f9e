"""Is every JSON schema enforced, or refused by name? Schemas over all keywords of draft 2020-12.

Usage: python -m bench.schemas [--schemas 1000] [--answers 200] [--served 100] [--by-keyword]

Answers are drawn from the product's masks alone, uniformly from all tokens that may come next,
wilder than a model at any temperature, in turns over two vocabularies: byte-level BPE and
SentencePiece. Some of the schemas are then sent over HTTP to a model of random weights, four times
each at temperature 1.5. Exits with 1 when an answer is not valid by the jsonschema package or can
not go on, or when a refusal names nothing or is wrong that no value is valid.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.helpers.random_llama import Shape, write_model
from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.convert import convert
from modelkit.names import ModelName
from modelkit.serve.app import create_app
from modelkit.serve.runner.grammar.grammars import Grammars
from modelkit.serve.runner.llama.log import Log
from modelkit.serve.runner.llama.model import Model
from modelkit.serve.scheduling.scheduler import Scheduler
from modelkit.store import Store
from tests.serve.runner.grammar.drawn import drawn
from tests.serve.runner.grammar.judge import Judge
from tests.serve.runner.grammar.scoring import EMPTY, ENFORCED, REFUSED, refusal, score

_CHECKPOINTS = ("tiny_llama", "tiny_llama_spm")
_SHAPE = Shape(width=64, feed=128, layers=2, heads=4, kv_heads=2, vocabulary=1000)
_STREAMS = 8
_TRIES = 4  # over HTTP, for each schema
_ENOUGH = 20  # answers without a whole one show that there is none
_MOST = 400  # tokens of an answer over HTTP


@dataclass
class Tally:
    """What was counted; `rows` by keyword."""

    rows: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    answers: int = 0
    cut: int = 0
    faults: list[str] = field(default_factory=list)
    possible: list[tuple[str, Any]] = field(default_factory=list)
    """The schemas that some value satisfies, as far as is known."""

    def total(self, outcome: str) -> int:
        """How many schemas had this outcome."""
        return sum(row[outcome] for row in self.rows.values())


def from_masks(folder: Path, schemas: list[tuple[str, Any]], answers: int) -> Tally:
    """Answers that the masks allow, without a model's taste."""
    places = [(Grammars(model), model) for model in _vocabularies(folder)]
    tally = Tally()
    for number, (keyword, schema) in enumerate(schemas):
        found = score(schema, places, np.random.default_rng(number), answers)
        tally.rows[keyword][found.outcome] += 1
        if found.outcome != EMPTY:
            tally.possible.append((keyword, schema))
        tally.answers += found.answers
        tally.cut += found.cut
        tally.faults += [f"{schema}: {fault}" for fault in found.faults]
        if found.outcome == ENFORCED and answers > _ENOUGH and not found.answers:
            tally.faults.append(f"{schema}: no answer ended")
    return tally


def _vocabularies(folder: Path) -> list[Model]:
    models = []
    for name in _CHECKPOINTS:
        files = {file.name: file for file in Path("fixtures", name).iterdir()}
        path = folder / f"{name}.gguf"
        with path.open("wb") as out:
            convert(files, out, "f32")
        models.append(Model(str(path), Log()))
    return models


async def over_http(store: Store, schemas: list[tuple[str, Any]]) -> Tally:
    """Answers of random weights, from a server and a runner."""
    scheduler = Scheduler()
    client = create_app(store, scheduler=scheduler).test_client()
    tally = Tally()
    turns = iter([(*schema, seed) for schema in schemas for seed in range(_TRIES)])

    async def stream() -> None:
        for keyword, schema, seed in turns:
            options = {"temperature": 1.5, "top_k": 0, "top_p": 1.0, "seed": seed}
            body = {
                "model": "random",
                "prompt": f"Try {seed}",
                "format": schema,
                "stream": False,
                "options": {**options, "num_ctx": 1024, "num_predict": _MOST},
            }
            response = await client.post("/api/generate", json=body)
            answer = await response.get_json()
            _count(tally, keyword, schema, response.status_code, answer)

    await asyncio.gather(*(stream() for _ in range(_STREAMS)))
    await scheduler.close()
    return tally


def _count(tally: Tally, keyword: str, schema: Any, status: int, answer: dict[str, Any]) -> None:
    if status == 400:
        found = refusal(schema, answer["error"])
        tally.rows[keyword][found.outcome] += 1
        tally.faults += [f"{schema}: {fault}" for fault in found.faults]
        return
    tally.rows[keyword][ENFORCED] += 1
    if status != 200:
        tally.faults.append(f"{schema}: {status} {answer}")
    elif answer["done_reason"] != "stop":
        tally.cut += 1
    else:
        tally.answers += 1
        if fault := Judge(schema).fault(answer["response"]):
            tally.faults.append(f"{schema}: {answer['response']!r}: {fault}")


def _print(title: str, tally: Tally) -> None:
    print(title)
    for outcome in (ENFORCED, REFUSED, EMPTY):
        print(f"  {outcome:<22} {tally.total(outcome):6,}")
    print(f"  answers                {tally.answers:6,} whole, {tally.cut:,} cut off for length")
    print(f"  violations             {len(tally.faults):6,}", flush=True)
    for fault in tally.faults[:20]:
        print(f"WRONG: {fault}")


def _print_rows(tally: Tally) -> None:
    print(f"{'drawn for':<24} {ENFORCED:>8} {REFUSED:>16} {EMPTY:>22}")
    for keyword in sorted(tally.rows):
        row = tally.rows[keyword]
        print(f"{keyword:<24} {row[ENFORCED]:>8} {row[REFUSED]:>16} {row[EMPTY]:>22}")


def main() -> int:
    """Draw, ask, count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schemas", type=int, default=1000)
    parser.add_argument("--answers", type=int, default=200, help="for each schema")
    parser.add_argument("--served", type=int, default=100, help="schemas over HTTP")
    parser.add_argument("--by-keyword", action="store_true", help="print a row for each keyword")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    schemas = list(drawn(options.schemas, options.seed))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        masks = from_masks(folder, schemas, options.answers)
        if options.by_keyword:
            _print_rows(masks)
        _print(f"{len(schemas):,} schemas, from the masks", masks)
        store = Store(folder / "models")
        path = write_model(folder / "random.gguf", _SHAPE)
        build(Recipe(files={path.name: path}), ModelName.parse("random"), store)
        some = masks.possible[:: max(1, len(masks.possible) // max(1, options.served))]
        served = asyncio.run(over_http(store, some[: options.served]))
    _print(f"{options.served} of them over HTTP, {_TRIES} times each", served)
    return int(bool(masks.faults or served.faults))


if __name__ == "__main__":
    sys.exit(main())
