"""One lock file per store: whoever writes holds it shared, whoever collects garbage alone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelkit.errors import store_errors


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold the lock shared; waits while another process collects garbage."""
    with _open(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


@contextmanager
def exclusive(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock alone. Without `wait` yields False at once when somebody is writing."""
    with _open(path) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


@contextmanager
def _open(path: Path) -> Iterator[int]:
    with store_errors("open", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # closing drops the lock, as does the death of the process
