"""The compile flags follow the CPU and the compiler, not a guess."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.engine_flags import NO_DEAD_STORE_ELIMINATION, choose, has_amx, is_faulty

SCRIPT = Path(__file__).parents[2] / "scripts" / "engine_flags.py"
SAPPHIRE_RAPIDS = (
    "processor\t: 0\nmodel name\t: Intel(R) Xeon(R)\n"
    "flags\t\t: fpu sse2 avx2 avx512f avx512_vnni amx_bf16 avx512_fp16 amx_tile amx_int8\n"
    "bugs\t\t: spectre_v1\n"
)
ZEN_4 = "processor\t: 0\nflags\t\t: fpu sse2 avx2 avx512f avx512_vnni avx512_bf16\n"
NEOVERSE = "processor\t: 0\nFeatures\t: fp asimd sve i8mm\n"
GCC_12_2 = """
_tile_loadconfig (const void *__config)
{
  __asm__ volatile ("ldtilecfg\\t%X0" :: "m" (*((const void **)__config)));
}
"""
GCC_14 = """
_tile_loadconfig (const void *__config)
{
  __builtin_ia32_ldtilecfg (__config);
}
"""


@pytest.mark.parametrize(
    ("cpuinfo", "amx"), [(SAPPHIRE_RAPIDS, True), (ZEN_4, False), (NEOVERSE, False), ("", False)]
)
def test_amx_is_read_from_the_flags_line(cpuinfo: str, amx: bool) -> None:
    assert has_amx(cpuinfo) is amx


def test_a_feature_named_outside_the_flags_line_is_not_amx() -> None:
    assert not has_amx("model name\t: amx_tile\nflags\t\t: sse2 amx_tiles\n")


def test_the_eight_byte_tile_load_is_recognised() -> None:
    assert is_faulty(GCC_12_2)
    assert not is_faulty(GCC_14)
    assert not is_faulty("")


@pytest.mark.parametrize(
    ("cpuinfo", "intrinsics"), [(ZEN_4, GCC_12_2), (SAPPHIRE_RAPIDS, GCC_14), (NEOVERSE, "")]
)
def test_no_flags_where_either_cpu_or_compiler_is_sound(cpuinfo: str, intrinsics: str) -> None:
    assert choose(cpuinfo, intrinsics)[0] == ""


def test_faulty_compiler_on_an_amx_cpu_keeps_amx_and_drops_the_optimization() -> None:
    flags, reason = choose(SAPPHIRE_RAPIDS, GCC_12_2)
    assert shlex.split(flags) == [f"-DCMAKE_CXX_FLAGS={NO_DEAD_STORE_ELIMINATION}"]
    assert "amx" not in flags
    assert "AMX" in reason


def test_the_users_own_arguments_are_kept() -> None:
    given = '-DGGML_BLAS=ON -DCMAKE_CXX_FLAGS="-O3 -g"'
    assert choose(ZEN_4, GCC_12_2, given)[0] == given
    assert shlex.split(choose(SAPPHIRE_RAPIDS, GCC_12_2, given)[0]) == [
        "-DGGML_BLAS=ON",
        f"-DCMAKE_CXX_FLAGS=-O3 -g {NO_DEAD_STORE_ELIMINATION}",
    ]


def run(path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_machine_without_a_compiler_gets_one_clear_line(tmp_path: Path) -> None:
    done = run(str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == ("Error: no C++ compiler; install g++ or clang to compile the engine\n")


def test_the_script_prints_one_line_of_flags_and_says_why() -> None:
    done = run("/usr/local/bin:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert "native build" in done.stderr
