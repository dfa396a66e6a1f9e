"""Print the CMAKE_ARGS to compile llama-cpp-python with on this machine; the reason goes to stderr.

Usage: CMAKE_ARGS="$(python scripts/engine_flags.py)" pip install --no-cache-dir llama-cpp-python

The build stays native (llama.cpp compiles for the very CPU it is on), with one exception:

* CPU without AMX, or a sound compiler: no flags.
* CPU with AMX and a gcc whose ``_tile_loadconfig`` tells the optimizer that it reads 8 bytes of the
  64 that the instruction reads (gcc 12.2 of Debian 12, for one): the stores to the other bytes are
  dropped as dead and every quantized model crashes at its first step. Dead-store elimination is
  switched off in the C++ sources. That keeps AMX, which is twice as fast as building without it.

CMAKE_ARGS already in the environment are kept. Exit status 1 when there is no C++ compiler.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

NO_DEAD_STORE_ELIMINATION = "-fno-tree-dse -fno-dse"
# gcc's faulty inline assembly; sound compilers have a builtin function in its place.
FAULTY_TILE_LOAD = re.compile(r'ldtilecfg[^;]*"m"\s*\(\*\(\(const void \*\*\)')


def has_amx(cpuinfo: str) -> bool:
    """Tell whether a Linux /proc/cpuinfo text lists AMX tiles among the CPU's features."""
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo, re.MULTILINE)
    return flags is not None and "amx_tile" in flags[1].split()


def is_faulty(intrinsics: str) -> bool:
    """Tell whether a compiler's preprocessed <immintrin.h> has the 8-byte ``_tile_loadconfig``."""
    return FAULTY_TILE_LOAD.search(intrinsics) is not None


def choose(cpuinfo: str, intrinsics: str, given: str = "") -> tuple[str, str]:
    """Return the CMAKE_ARGS and the reason for them.

    ``given`` holds the user's own CMAKE_ARGS: they come first, and their CMAKE_CXX_FLAGS are
    extended, because CMake takes the last definition of a variable only.
    """
    if not has_amx(cpuinfo):
        return given, "native build: this CPU has no AMX"
    if not is_faulty(intrinsics):
        return given, "native build with AMX: the compiler handles tile configurations well"
    own = [arg for arg in shlex.split(given) if not arg.startswith("-DCMAKE_CXX_FLAGS=")]
    wanted = re.findall(r"-DCMAKE_CXX_FLAGS=(.*)", "\n".join(shlex.split(given)))
    flags = " ".join([*wanted, NO_DEAD_STORE_ELIMINATION])
    reason = "native build with AMX, without the compiler's faulty dead-store elimination"
    return shlex.join([*own, f"-DCMAKE_CXX_FLAGS={flags}"]), reason


def find_compiler() -> str | None:
    """Return the C++ compiler that CMake would take: $CXX, else c++, g++ or clang++ on PATH."""
    names = [os.environ.get("CXX", "").split(" ")[0], "c++", "g++", "clang++"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


def read_intrinsics(compiler: str) -> str:
    """Preprocess <immintrin.h>; empty where the compiler has none, as on ARM."""
    done = subprocess.run(
        [compiler, "-E", "-x", "c++", "-"],
        input="#include <immintrin.h>\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout if done.returncode == 0 else ""


def describe() -> tuple[str, str]:
    """Return the CMAKE_ARGS for this CPU and compiler, and the reason for them.

    Exits with a message when there is no C++ compiler.
    """
    compiler = find_compiler()
    if compiler is None:
        sys.exit("Error: no C++ compiler; install g++ or clang to compile the engine")
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    flags, reason = choose(text, read_intrinsics(compiler), os.environ.get("CMAKE_ARGS", ""))
    return flags, f"{compiler}: {reason}"


def main() -> None:
    """Print the flags for this machine."""
    flags, reason = describe()
    print(reason, file=sys.stderr)
    print(flags)


if __name__ == "__main__":
    main()
