"""How much memory may still be used here: by the machine's count and by the control groups'."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from modelkit.serve.capacity.cgroups import ROOT, group_folders, number, read

_KIB = 1024
_LIMIT_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Limit, use, and the cached files among the use that the kernel would drop: v2, then v1."""


def available_memory(root: Path = ROOT) -> int | None:
    """Bytes that processes of this one's groups can still get without swapping; None if unknown."""
    found = [*_machine(root), *_groups(root)]
    return min(found) if found else None


def _machine(root: Path) -> Iterator[int]:
    if line := re.search(r"^MemAvailable:\s*(\d+) kB", read(root / "proc/meminfo"), re.MULTILINE):
        yield int(line[1]) * _KIB


def _groups(root: Path) -> Iterator[int]:
    """What each limit that holds for this process leaves."""
    for folder in group_folders("memory", root):
        for limit_file, usage_file, cached_key in _LIMIT_FILES:
            limit, usage = number(read(folder / limit_file)), number(read(folder / usage_file))
            if limit is not None and usage is not None:
                cached = re.search(rf"^{cached_key} (\d+)$", read(folder / "memory.stat"), re.M)
                yield max(0, limit - usage + (int(cached[1]) if cached else 0))
