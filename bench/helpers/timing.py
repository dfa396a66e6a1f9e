"""What the benchmarks share: alternating runs, medians, a row per contender."""

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping


def seconds(run: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def alternate(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median seconds of each contender; they take turns, so that noise meets all of them."""
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            samples[name].append(seconds(run))
    return {name: statistics.median(times) for name, times in samples.items()}


def command(*arguments: str) -> Callable[[], object]:
    """A contender that runs a program and throws its output away."""
    return lambda: subprocess.run(arguments, check=True, capture_output=True)


def print_ratios(medians: Mapping[str, float], peer: str) -> None:
    """One row each: the time, and how many times the peer's it is."""
    width = max(map(len, medians))
    for name, median in medians.items():
        print(f"{name:<{width}}  {median * 1000:9.1f} ms  {median / medians[peer]:6.2f} x {peer}")
