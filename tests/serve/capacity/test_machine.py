"""How much memory is left, on made-up machines and on this one."""

from pathlib import Path

import pytest

from modelkit.serve.capacity.machine import available_memory
from tests.serve.capacity.machines import machine

_MEMINFO = "MemTotal:       24684084 kB\nMemFree:  100 kB\nMemAvailable:   1000000 kB\n"
_V2 = {"proc/self/cgroup": "0::/pod/app\n"}


@pytest.mark.parametrize(
    ("files", "size"),
    [
        ({}, None),
        ({"proc/meminfo": _MEMINFO}, 1_024_000_000),
        # Version 2: limit less use, plus the cached files that the kernel would drop.
        (
            {
                "proc/meminfo": _MEMINFO,
                **_V2,
                "sys/fs/cgroup/pod/app/memory.max": "500000",
                "sys/fs/cgroup/pod/app/memory.current": "400000",
                "sys/fs/cgroup/pod/app/memory.stat": "anon 1\ninactive_file 30000\n",
            },
            130_000,
        ),
        (
            {
                **_V2,
                "sys/fs/cgroup/pod/app/memory.max": "max",
                "sys/fs/cgroup/pod/app/memory.current": "400000",
                "sys/fs/cgroup/pod/memory.max": "450000",
                "sys/fs/cgroup/pod/memory.current": "440000",
            },
            10_000,
        ),
        (
            {
                "proc/self/cgroup": "5:memory:/docker/abc\n0::/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "900000",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "950000",
            },
            0,
        ),
    ],
)
def test_the_tightest_limit_holds(tmp_path: Path, files: dict[str, str], size: int | None) -> None:
    assert available_memory(machine(tmp_path, files)) == size


def test_this_machine_has_memory() -> None:
    assert (available_memory() or 0) > 1 << 20
