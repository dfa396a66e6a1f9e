"""Is the build that `make setup` chooses for the engine as fast as any other of it?

Usage: python -m bench.engine.builds [--rounds N]

Compiles llama.cpp's llama-bench in every way that this machine has the compilers for (some five
minutes each, kept in .cache/peer) and lets the builds take turns: prompts of 256 tokens (pp256) and
answers of 64 (tg64) of the synthetic model at q4_K_M and q8_0, on two threads. The best repetition
counts: whatever else the machine does only makes one slower. Exits with 1 when the chosen build is
more than 5 % slower than the best.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from bench.engine.models import synthetic
from bench.engine.peer import BUILD, compiled
from scripts.engine_flags import describe, has_amx

_WITHIN = 0.95
_CLANG = "-DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++"
_NO_AMX = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
CHOSEN = "chosen"


class Test(NamedTuple):
    """What is measured of a build."""

    quantization: str
    name: str

    def __str__(self) -> str:
        return f"{self.quantization} {self.name}"


QUANTIZATIONS = ("q4_k_m", "q8_0")
TESTS = tuple(Test(weights, name) for weights in QUANTIZATIONS for name in ("pp256", "tg64"))


def candidates() -> dict[str, str]:
    """The CMAKE_ARGS of each build by its name; what `make setup` takes comes first."""
    chosen = describe()[0]
    found = {
        CHOSEN: chosen,
        "link-time optimization": f"{chosen} -DGGML_LTO=ON",
        "ggml's own threads": f"{chosen} -DGGML_OPENMP=OFF",
    }
    if chosen:
        found["without flags"] = ""
    if has_amx(Path("/proc/cpuinfo").read_text()):
        found["without AMX"] = f"-DCMAKE_C_FLAGS='{_NO_AMX}' -DCMAKE_CXX_FLAGS='{_NO_AMX}'"
    if shutil.which("clang++"):
        found["clang"] = _CLANG
    return found


def measure(program: Path, quantization: str) -> dict[Test, float]:
    """Tokens a second of both tests; nothing for a build that crashes.

    Raises CalledProcessError when llama-bench fails in another way; its words are on stderr.
    """
    command = (program, "-m", synthetic(quantization).gguf, "-t", "2", "-r", "3", "-o", "json")
    done = subprocess.run((*command, "-p", "256", "-n", "64"), stdout=subprocess.PIPE, check=False)
    if done.returncode < 0:
        return {}
    done.check_returncode()
    rows = json.loads(done.stdout)
    return {
        Test(quantization, "pp256" if row["n_prompt"] else "tg64"): max(row["samples_ts"])
        for row in rows
    }


def _best(programs: dict[str, Path], rounds: int) -> dict[str, dict[Test, float]]:
    found: dict[str, dict[Test, float]] = {name: {} for name in programs}
    for _ in range(rounds):
        for quantization in QUANTIZATIONS:
            for name, program in programs.items():
                for test, speed in measure(program, quantization).items():
                    found[name][test] = max(speed, found[name].get(test, 0.0))
    return found


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def main() -> int:
    """Compile, measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine.builds", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    programs = {}
    for name, flags in candidates().items():
        print(f"compiling: {name} ({flags or 'no flags'})", file=sys.stderr, flush=True)
        folder = BUILD / "build" if name == CHOSEN else BUILD / "builds" / name.replace(" ", "-")
        programs[name] = compiled("llama-bench", folder, flags)
    speeds = _best(programs, rounds)
    print(_row(("build", *TESTS)))
    print(_row(("---", *["--:"] * len(TESTS))))
    for name, found in speeds.items():
        print(
            _row((name, *(f"{found[test]:,.0f}" if test in found else "crash" for test in TESTS)))
        )
    if not all(test in speeds[CHOSEN] for test in TESTS):
        return 1
    best = {test: max(found.get(test, 0.0) for found in speeds.values()) for test in TESTS}
    shares = {test: speeds[CHOSEN][test] / best[test] for test in TESTS}
    print(_row(("chosen to best", *(f"{share:.2f}" for share in shares.values()))))
    return int(min(shares.values()) < _WITHIN)


if __name__ == "__main__":
    sys.exit(main())
