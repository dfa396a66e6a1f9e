"""The parts of an unfinished blob and their records on disk, in Ollama's form.

`<blob>-partial` has the blob's full size from the start. `<blob>-partial-<N>` is JSON,
`{"N":0,"Offset":0,"Size":100000000,"Completed":123}`: which bytes part N covers and how many of
them, from its start, are there. So a download goes on after a crash, ours or Ollama's.
"""

import json
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from modelkit.errors import store_errors

SMALLEST_PART = 16 * 1024 * 1024
LARGEST_PART = 256 * 1024 * 1024
PARTS = 16

_RECORD_LIMIT = 4096
_MOST_PARTS = 4096
_RECORD_KEYS = ("N", "Offset", "Size", "Completed")


@dataclass
class Part:
    """A run of the blob's bytes, filled from its start; everything in bytes."""

    number: int
    offset: int
    size: int
    completed: int = 0
    saved: int = 0

    @property
    def position(self) -> int:
        """Where the next byte goes."""
        return self.offset + self.completed

    @property
    def stop(self) -> int:
        """The offset after the last byte."""
        return self.offset + self.size

    @property
    def done(self) -> bool:
        """Whether every byte is there."""
        return self.completed == self.size


def plan_parts(size: int) -> list[Part]:
    """Parts for a blob of `size` bytes: about sixteen, none too small or too large."""
    step = min(max(-(-size // PARTS), SMALLEST_PART), LARGEST_PART)
    return [
        Part(number, offset, min(step, size - offset))
        for number, offset in enumerate(range(0, size, step))
    ]


def read_records(path: Path) -> list[Part]:
    """The parts recorded beside an unfinished file; unreadable records are passed over."""
    parts = []
    for record in _record_paths(path):
        try:
            with record.open("rb") as file:
                value = json.loads(file.read(_RECORD_LIMIT))
            number, offset, size, completed = (value[key] for key in _RECORD_KEYS)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if all(type(field) is int and field >= 0 for field in (number, offset, size, completed)):
            parts.append(Part(number, offset, size, completed, saved=completed))
    return parts


def save_record(path: Path, part: Part) -> None:
    """Write down how far the part of the unfinished file `path` is; raises StoreError."""
    # One write of a text that only grows: a crash leaves the old record or the new one.
    values = (part.number, part.offset, part.size, part.completed)
    text = json.dumps(dict(zip(_RECORD_KEYS, values, strict=True)), separators=(",", ":"))
    record = path.with_name(f"{path.name}-{part.number}")
    with store_errors("write", record):
        file = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(file, text.encode(), 0)
        finally:
            os.close(file)
    part.saved = part.completed


def remove_records(path: Path) -> None:
    """Remove every record of the unfinished file."""
    for record in _record_paths(path):
        record.unlink(missing_ok=True)


def tile(parts: list[Part], size: int) -> bool:
    """Whether the parts, by offset, cover 0 to `size` without gap or overlap."""
    if not parts or len(parts) > _MOST_PARTS or len({part.number for part in parts}) < len(parts):
        return False
    return (
        parts[0].offset == 0
        and parts[-1].stop == size
        and all(one.stop == two.offset for one, two in pairwise(parts))
        and all(part.completed <= part.size for part in parts)
    )


def _record_paths(path: Path) -> list[Path]:
    prefix = f"{path.name}-"
    return [
        found
        for found in path.parent.glob(f"{prefix}*")
        if found.name.removeprefix(prefix).isdecimal()
    ]
