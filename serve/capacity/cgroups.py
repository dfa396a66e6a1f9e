"""What a container or service may use: the limits of the control groups that a process is in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/")
"""Where /proc and /sys are found."""


def group_folders(controller: str, root: Path = ROOT) -> Iterator[Path]:
    """The folders of the process's own group and of all above it, for v2 and for a v1 controller.

    In a container the path may be the host's while its own group is mounted at the top, so folders
    that do not exist are passed over and the top is always among them.
    """
    mounted = root / "sys/fs/cgroup"
    for line in read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # Version 1 has a tree for each controller, version 2 has one for all.
        top = mounted / controller if controllers else mounted
        own = top / path.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(top))


def read(path: Path) -> str:
    """A small system file, without the space around it; empty where there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def number(text: str) -> int | None:
    """A count as these files have it; None for `max` and for what is missing."""
    return int(text) if text.removeprefix("-").isdigit() else None
