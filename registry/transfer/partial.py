"""A blob that is not whole yet: Ollama's `-partial` file, locked, filled and hashed."""

import contextlib
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelkit.digest import Digest
from modelkit.errors import Cancelled, StoreError, store_errors
from modelkit.manifest import Descriptor
from modelkit.registry.transfer.parts import (
    Part,
    plan_parts,
    read_records,
    remove_records,
    save_record,
    tile,
)
from modelkit.store import Store

_SAVE_EVERY = 4 * 1024 * 1024
_LOCK_PAUSE = 0.1
_HASH_CHUNK = 1024 * 1024


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
                save_record(self._path, part)
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
        remove_records(self._path)

    def restart(self) -> None:
        """Forget every byte."""
        with self._changed, store_errors("write", self._path):
            remove_records(self._path)
            os.ftruncate(self._file, 0)
            self.parts = self._plan()

    def remove(self) -> None:
        """Leave nothing behind."""
        self._path.unlink(missing_ok=True)
        remove_records(self._path)

    def close(self) -> None:
        """Save what is there and let go of the file; late writers get Cancelled."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            with contextlib.suppress(StoreError):  # on a full disk the last records will do
                for part in self.parts:
                    if part.completed != part.saved and self._path.exists():
                        save_record(self._path, part)
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
        parts = plan_parts(self.size)
        with store_errors("write", self._path):
            os.ftruncate(self._file, self.size)
            for part in parts:
                save_record(self._path, part)
        return parts

    def _load(self) -> list[Part] | None:
        """The parts on record, if they cover the file exactly; otherwise None and no records."""
        parts = sorted(read_records(self._path), key=lambda part: part.offset)
        whole = os.fstat(self._file).st_size == self.size
        if whole and tile(parts, self.size):
            return parts
        remove_records(self._path)
        return None


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


def _write_all(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(file, view, offset)
        view, offset = view[count:], offset + count
