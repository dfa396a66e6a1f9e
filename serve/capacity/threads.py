"""How many threads a model computes with: one for each physical core that this process may use.

The second thread of a core adds nothing to matrix products, and more threads than the container's
share of the machine are stopped in the middle of a step while the others spin.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from modelkit.serve.capacity.cgroups import ROOT, group_folders, number, read


def default_threads(root: Path = ROOT, allowed: Iterable[int] | None = None) -> int:
    """Physical cores within the CPU affinity and the control groups' quota; at least 1.

    `allowed` is the CPUs of the affinity, the process's own when None.
    """
    cpus = os.sched_getaffinity(0) if allowed is None else set(allowed)
    return max(1, min([physical_cores(cpus, root), *_quotas(root)]))


def physical_cores(cpus: Iterable[int], root: Path = ROOT) -> int:
    """How many cores the logical CPUs belong to; CPUs of unknown topology count as one each."""
    return len({_siblings(cpu, root) for cpu in cpus})


def _siblings(cpu: int, root: Path) -> str:
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    return read(topology / "thread_siblings_list") or str(cpu)


def _quotas(root: Path) -> Iterator[int]:
    """Whole CPUs of each quota that holds for this process."""
    for folder in group_folders("cpu", root):
        quota = parse_quota(read(folder / "cpu.max")) or parse_quota(
            f"{read(folder / 'cpu.cfs_quota_us')} {read(folder / 'cpu.cfs_period_us')}"
        )
        if quota is not None:
            yield int(quota)


def parse_quota(text: str) -> float | None:
    """CPUs of `QUOTA PERIOD` in microseconds; None for no limit (`max`, -1) and any other text."""
    words = text.split()
    if len(words) != 2:
        return None
    quota, period = map(number, words)
    if quota is None or period is None or quota <= 0 or period <= 0:
        return None
    return quota / period
