"""How many threads a model computes with, on made-up machines and on this one."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.serve.capacity.threads import default_threads, parse_quota, physical_cores
from tests.serve.capacity.machines import machine

_SIBLINGS = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
_FOUR_CORES = {_SIBLINGS.format(cpu): f"{cpu % 4},{cpu % 4 + 4}\n" for cpu in range(8)}


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("200000 100000", 2.0),
        ("50000 100000\n", 0.5),
        ("max 100000", None),
        ("-1 100000", None),
        ("100000 0", None),
        ("", None),
        ("100000", None),
        ("a b", None),
    ],
)
def test_a_quota_is_cpus(text: str, cpus: float | None) -> None:
    assert parse_quota(text) == cpus


@given(st.text())
def test_any_text_is_a_quota_or_none(text: str) -> None:
    quota = parse_quota(text)
    assert quota is None or quota > 0


def test_two_threads_of_a_core_count_once(tmp_path: Path) -> None:
    root = machine(tmp_path, _FOUR_CORES)
    assert physical_cores(range(8), root) == 4
    assert physical_cores([0, 4], root) == 1
    assert physical_cores([0, 1, 5], root) == 2


def test_cpus_of_unknown_topology_count_one_each(tmp_path: Path) -> None:
    assert physical_cores(range(3), tmp_path) == 3


@pytest.mark.parametrize(
    ("files", "threads"),
    [
        ({}, 4),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "10000 100000"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000"}, 4),
        # The limit of a group above holds, too.
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000",
                "sys/fs/cgroup/a/cpu.max": "300000 100000",
            },
            3,
        ),
        # Version 1, and a container that sees the host's path but has its own group on top.
        (
            {
                "proc/self/cgroup": "4:memory:/x\n3:cpu,cpuacct:/docker/abc\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            2,
        ),
    ],
)
def test_threads_follow_the_cores_and_the_groups(
    tmp_path: Path, files: dict[str, str], threads: int
) -> None:
    root = machine(tmp_path, _FOUR_CORES | files)
    assert default_threads(root, range(8)) == threads


def test_this_machine_has_a_sensible_number() -> None:
    assert 1 <= default_threads() <= len(os.sched_getaffinity(0))
