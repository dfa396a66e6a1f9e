"""Writing one blob: under a temporary name, hashed in flight, fsynced, then renamed."""

import hashlib
import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from modelkit.digest import Digest
from modelkit.errors import DigestMismatch, store_errors
from modelkit.store import locks

CHUNK_SIZE = 1024 * 1024


class BlobWriter:
    """A context manager that turns written bytes into a blob.

    A clean exit makes the blob appear, complete, under its digest; an exception, or a crash,
    leaves nothing under that name. After the exit `digest` and `size` describe the blob.
    Raises DigestMismatch at the exit when the bytes are not what `expected` says, StoreError when
    the disk is full or the folder cannot be written.
    """

    digest: Digest

    def __init__(self, folder: Path, lock: Path, expected: Digest | None = None) -> None:
        self.path = folder / f"tmp-{os.getpid()}-{os.urandom(8).hex()}"
        self.size = 0
        self._folder = folder
        self._lock = lock
        self._expected = expected
        self._hash = hashlib.sha256()
        self._resources = ExitStack()
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        with store_errors("create", self.path), ExitStack() as resources:
            self._folder.mkdir(parents=True, exist_ok=True)
            resources.enter_context(locks.shared(self._lock))
            self._file = resources.enter_context(self.path.open("xb", buffering=0))
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        with self._resources:
            try:
                if kind is None:
                    self._commit()
            finally:
                self.path.unlink(missing_ok=True)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append all of `data`; returns its length in bytes."""
        if self._file is None:
            raise ValueError("a BlobWriter is written inside its `with` block")
        view = memoryview(data).cast("B")
        with store_errors("write", self.path):
            offset = 0
            while offset < len(view):
                offset += self._file.write(view[offset:]) or 0
        self._hash.update(view)
        self.size += len(view)
        return len(view)

    def adopt(self) -> None:
        """Take the bytes that another program wrote to `path`, replacing what was written here."""
        self._hash = hashlib.sha256()
        self.size = 0
        with store_errors("read", self.path), self.path.open("rb") as file:
            while chunk := file.read(CHUNK_SIZE):
                self._hash.update(chunk)
                self.size += len(chunk)

    def _commit(self) -> None:
        self.digest = Digest(self._hash.hexdigest())
        if self._expected is not None and self.digest != self._expected:
            raise DigestMismatch(self._expected, self.digest)
        target = self._folder / self.digest.filename
        with store_errors("write", target):
            self.path.chmod(0o644)
            sync_file(self.path)
            self.path.replace(target)
            sync_folder(self._folder)


def sync_file(path: Path) -> None:
    """Make the file's bytes survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


sync_folder = sync_file
"""Make the folder's entries (a rename, an unlink) survive a power cut."""
