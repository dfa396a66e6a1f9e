"""Compare `modelkit serve` with llama-server over HTTP: same GGUF, threads, sampling, machine.

Usage: python -m bench.engine [--rounds N] [--model NAME]... [--json] [SCENARIO-PART]...

Both servers run; the requests alternate. The table is what docs/benchmarks.md shows. Exit status
1 when a ratio misses its bar.
"""

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from bench.engine import scenarios
from bench.engine.contenders import OURS, PEER, Contender, start_ours, start_peer
from bench.engine.models import BenchModel, minilm, synthetic, tinychat
from bench.engine.scenarios import Scenario

MODELS = {
    "tinychat": tinychat,
    "synthetic-q8_0": lambda: synthetic("q8_0"),
    "synthetic-q4_k_m": lambda: synthetic("q4_k_m"),
}


@dataclass(frozen=True)
class Setup:
    """Scenarios that share a pair of servers: slots, tokens of context each.

    `prompt` is the longest: only models that have the context for it are asked.
    """

    parallel: int
    context: int
    scenarios: tuple[Scenario, ...]
    prompt: int = 0


SETUPS = (
    Setup(8, 4608, (scenarios.SINGLE, scenarios.PARALLEL_8, scenarios.STRUCTURED)),
    Setup(9, 4608, (scenarios.FIRST_TOKEN, scenarios.FIRST_AGAIN, scenarios.MIXED), 4096),
    Setup(32, 512, (scenarios.PARALLEL_32,)),
)


@dataclass(frozen=True)
class Row:
    """One line of the table: medians over the rounds."""

    model: str
    scenario: str
    unit: str
    peer: float
    ours: float
    ratio: float
    bar: float
    met: bool


def main() -> None:
    """Measure what was asked for and print the table."""
    options = _arguments()
    rows = []
    for row in _rows(options.rounds, options.model or [*MODELS, "minilm"], options.parts):
        rows.append(row)
        print(f"{_line(row)}", file=sys.stderr, flush=True)
    print(json.dumps([asdict(row) for row in rows]) if options.json else _table(rows))
    sys.exit(not all(row.met for row in rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.engine", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", action="append", choices=[*MODELS, "minilm"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("parts", nargs="*", help="only scenarios whose name has this in it")
    return parser.parse_args()


def _rows(rounds: int, models: list[str], parts: list[str]) -> Iterator[Row]:
    for name in models:
        if name == "minilm":
            embedding = Setup(1, 512, (scenarios.EMBEDDINGS,))
            yield from _setup_rows(minilm(), embedding, rounds, parts, ("--embedding",))
            continue
        model = MODELS[name]()
        for setup in SETUPS:
            if setup.prompt > model.context:
                continue
            yield from _setup_rows(model, setup, rounds, parts)


def _setup_rows(
    model: BenchModel, setup: Setup, rounds: int, parts: list[str], flags: tuple[str, ...] = ()
) -> Iterator[Row]:
    chosen = [s for s in setup.scenarios if not parts or any(part in s.name for part in parts)]
    if not chosen:
        return
    with _contenders(model, setup, flags) as contenders, asyncio.Runner() as loop:
        for scenario in chosen:
            yield _measure(loop, model, scenario, contenders, rounds)


@contextmanager
def _contenders(
    model: BenchModel, setup: Setup, flags: tuple[str, ...]
) -> Iterator[list[Contender]]:
    started: list[Contender] = []
    sizes = {"parallel": setup.parallel, "context": setup.context}
    try:
        started.append(start_peer(model, **sizes, flags=flags))
        started.append(start_ours(model, **sizes))
        yield started
    finally:
        for contender in started:
            contender.server.stop()


def _measure(
    loop: asyncio.Runner,
    model: BenchModel,
    scenario: Scenario,
    contenders: list[Contender],
    rounds: int,
) -> Row:
    samples: dict[str, list[float]] = {PEER: [], OURS: []}
    for round_ in range(-1, rounds):
        measured = list(_round(loop, scenario, contenders, round_))
        if round_ >= 0:  # the first round loads and warms up
            for name, value in measured:
                samples[name].append(value)
    peer, ours = statistics.median(samples[PEER]), statistics.median(samples[OURS])
    ratio = ours / peer
    met = ratio >= scenario.bar if scenario.higher else ratio <= scenario.bar
    return Row(model.name, scenario.name, scenario.unit, peer, ours, ratio, scenario.bar, met)


def _round(
    loop: asyncio.Runner, scenario: Scenario, contenders: list[Contender], round_: int
) -> Iterator[tuple[str, float]]:
    """Each contender's name with what one of its turns measured."""
    if scenario.prepare:
        for contender in contenders:
            loop.run(scenario.prepare(contender, round_))
    for turn in range(scenario.turns):
        for contender in contenders if (round_ + turn) % 2 else reversed(contenders):
            yield contender.name, loop.run(scenario.measure(contender, round_))


def _table(rows: list[Row]) -> str:
    columns = ("model", "scenario", "unit", PEER, OURS, "ratio", "bar")
    head = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return "\n".join([*head, *map(_line, rows)])


def _line(row: Row) -> str:
    sign = "" if row.met else " (missed)"
    return (
        f"| {row.model} | {row.scenario} | {row.unit} | {row.peer:,.1f} | {row.ours:,.1f} "
        f"| {row.ratio:.2f}{sign} | {row.bar:.2f} |"
    )


if __name__ == "__main__":
    main()
