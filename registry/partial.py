"""A blob that is not whole yet: Ollama's `-partial` file and the records of its parts.

`<blob>-partial` has the blob's full size from the start. `<blob>-partial-<N>` is JSON,
`{"N":0,"Offset":0,"Size":100000000,"Completed":123}`: which bytes part N covers and how many of
them, from its start, are there. So a download goes on after a crash, ours or Ollama's.
"""

import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from modelkit.digest import Digest
from modelkit.errors import Cancelled, store_errors
from modelkit.manifest import Descriptor
from modelkit.store import Store

SMALLEST_PART = 16 * 1024 * 1024
LARGEST_PART = 256 * 1024 * 1024
PARTS = 16

_SAVE_EVERY = 4 * 1024 * 1024
_LOCK_PAUSE = 0.1
_HASH_CHUNK = 1024 * 1024
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


class Partial:
    """The unfinished file, locked against other processes and threads; made by `open_partial`."""

    def __init__(self, store: Store, descriptor: Descriptor, file: int) -> None:
        self.digest = descriptor.digest
        self.size = descriptor.size
        self._store = store
        self._path = store.partial_path(descriptor.digest)
        self._file = file
        self._closed = False
        self._changed = threading.Condition()
        self.parts = self._load() or self._plan()

    @property
    def completed(self) -> int:
        """How many bytes are there, in all parts."""
        return sum(part.completed for part in self.parts)

    def write(self, part: Part, data: bytes) -> None:
        """Put the part's next bytes in place; raises StoreError, Cancelled after `close`."""
        with self._changed:
            if self._closed:
                raise Cancelled
            with store_errors("write", self._path):
                _write_all(self._file, data, part.position)
            part.completed += len(data)
            if part.done or part.completed - part.saved >= _SAVE_EVERY:
                self._save(part)
            self._changed.notify_all()

    def hash(self) -> Digest | None:
        """The digest of the whole file, computed while it arrives; None when closed before."""
        state = hashlib.sha256()
        buffer = memoryview(bytearray(_HASH_CHUNK))
        hashed = 0
        while hashed < self.size:
            ready = self._wait_past(hashed)
            if ready == hashed:
                return None
            with store_errors("read", self._path):
                count = os.preadv(self._file, [buffer[: ready - hashed]], hashed)
            state.update(buffer[:count])
            hashed += count
        return Digest(state.hexdigest())

    def promote(self) -> None:
        """Make the whole, checked file a blob."""
        self._store.promote(self.digest)
        self._remove_records()

    def restart(self) -> None:
        """Forget every byte."""
        with self._changed, store_errors("write", self._path):
            self._remove_records()
            os.ftruncate(self._file, 0)
            self.parts = self._plan()

    def remove(self) -> None:
        """Leave nothing behind."""
        self._path.unlink(missing_ok=True)
        self._remove_records()

    def close(self) -> None:
        """Save what is there and let go of the file; late writers get Cancelled."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            for part in self.parts:
                if part.completed != part.saved and self._path.exists():
                    self._save(part)
            os.close(self._file)
            self._changed.notify_all()

    def _wait_past(self, hashed: int) -> int:
        """The end of the unbroken run of bytes from 0, once beyond `hashed` or once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._prefix() > hashed)
            return hashed if self._closed else self._prefix()

    def _prefix(self) -> int:
        for part in self.parts:
            if not part.done:
                return part.position
        return self.size

    def _plan(self) -> list[Part]:
        step = min(max(-(-self.size // PARTS), SMALLEST_PART), LARGEST_PART)
        parts = [
            Part(number, offset, min(step, self.size - offset))
            for number, offset in enumerate(range(0, self.size, step))
        ]
        with store_errors("write", self._path):
            os.ftruncate(self._file, self.size)
            for part in parts:
                self._save(part)
        return parts

    def _load(self) -> list[Part] | None:
        """The parts on record, if they cover the file exactly; otherwise None and no records."""
        parts = sorted(read_records(self._path), key=lambda part: part.offset)
        whole = os.fstat(self._file).st_size == self.size
        if whole and _tile(parts, self.size):
            return parts
        self._remove_records()
        return None

    def _save(self, part: Part) -> None:
        # One write of a text that only grows: a crash leaves the old record or the new one.
        values = (part.number, part.offset, part.size, part.completed)
        text = json.dumps(dict(zip(_RECORD_KEYS, values, strict=True)), separators=(",", ":"))
        path = self._path.with_name(f"{self._path.name}-{part.number}")
        with store_errors("write", path):
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.pwrite(file, text.encode(), 0)
            finally:
                os.close(file)
        part.saved = part.completed

    def _remove_records(self) -> None:
        for path in _record_paths(self._path):
            path.unlink(missing_ok=True)


@contextmanager
def open_partial(
    store: Store, descriptor: Descriptor, waiting: Callable[[int], None]
) -> Iterator[Partial | None]:
    """The blob's unfinished file, alone; None when the blob is whole, by whoever's work.

    While another process or thread downloads the same blob this waits, and tells `waiting` how
    many bytes are there; `waiting` may raise to give up.
    """
    file = _lock(store, descriptor, waiting)
    if file is None:
        yield None
        return
    partial: Partial | None = None
    try:
        partial = Partial(store, descriptor, file)
        yield partial
    finally:
        if partial is None:
            os.close(file)
        else:
            partial.close()


def is_whole(store: Store, descriptor: Descriptor) -> bool:
    """Whether the store has the blob in the size the manifest says."""
    digest = descriptor.digest
    return store.has_blob(digest) and store.blob_size(digest) == descriptor.size


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


def _lock(store: Store, descriptor: Descriptor, waiting: Callable[[int], None]) -> int | None:
    path = store.partial_path(descriptor.digest)
    while not is_whole(store, descriptor):
        with store_errors("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            waiting(sum(part.completed for part in read_records(path)))
            time.sleep(_LOCK_PAUSE)
            continue
        if _is_same(file, path) and not is_whole(store, descriptor):
            return file
        # The one before us finished: its file is the blob now, and ours, if any, is empty.
        if _is_same(file, path):
            path.unlink(missing_ok=True)
        os.close(file)
    return None


def _is_same(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _tile(parts: list[Part], size: int) -> bool:
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


def _write_all(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(file, view, offset)
        view, offset = view[count:], offset + count
