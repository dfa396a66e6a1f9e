"""Upload sessions: files below `uploads/` in the store that end as blobs.

A session outlives its connection and the server; one that nobody continues for a day is removed.
"""

import hashlib
import os
import re
import secrets
import threading
import time
from pathlib import Path

from modelkit.digest import Digest
from modelkit.errors import DigestMismatch, store_errors
from modelkit.registry.server.answers import OCIError
from modelkit.store import Store
from modelkit.store.writer import sync_file, sync_folder

MAX_AGE = 24 * 3600.0
"""Seconds that a session waits to be continued."""
_IDENTIFIER = re.compile("[0-9a-f]{32}", re.ASCII)
_READ_SIZE = 1024 * 1024


class Upload:
    """One session: bytes received so far, hashed as they come.

    Every method may run in any thread; `size` never counts bytes that are not in the file.
    """

    def __init__(self, path: Path) -> None:
        self.identifier = path.name
        self.path = path
        self._hash = hashlib.sha256()
        self._size = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes received; raises OCIError when the session is gone."""
        with self._lock:
            self._catch_up()
            return self._size

    def append(self, position: int, data: bytes) -> int:
        """Add bytes that belong at `position`; returns where the next ones belong.

        Raises OCIError (416) when that is not the end of what is there, StoreError for the disk.
        """
        with self._lock:
            self._catch_up()
            if position != self._size:
                raise out_of_order(self.identifier, self._size)
            with store_errors("write", self.path), self.path.open("ab", buffering=0) as file:
                view = memoryview(data)
                while view:
                    written = file.write(view) or 0
                    self._hash.update(view[:written])
                    self._size += written
                    view = view[written:]
            return self._size

    def finish(self, store: Store, expected: Digest) -> None:
        """Make the bytes a blob; raises DigestMismatch, and OCIError when the session is gone."""
        with self._lock:
            self._catch_up()
            actual = Digest(self._hash.hexdigest())
            if actual != expected:
                self.path.unlink(missing_ok=True)
                raise DigestMismatch(expected, actual)
            target = store.blob_path(expected)
            with store.lease(), store_errors("write", target):
                target.parent.mkdir(parents=True, exist_ok=True)
                self.path.chmod(0o644)
                os.utime(self.path)  # a young blob is not collected
                sync_file(self.path)
                self.path.replace(target)
                sync_folder(target.parent)

    def _catch_up(self) -> None:
        """Hash what another process or an earlier life of the server wrote."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            raise unknown_upload(self.identifier) from None
        if size == self._size:
            return
        self._hash, self._size = hashlib.sha256(), 0
        with store_errors("read", self.path), self.path.open("rb") as file:
            while chunk := file.read(_READ_SIZE):
                self._hash.update(chunk)
                self._size += len(chunk)


class Uploads:
    """All sessions of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.root / "uploads"
        self._known: dict[str, Upload] = {}

    def start(self) -> Upload:
        """A new, empty session; old ones are cleared away."""
        self.expire()
        path = self._folder / secrets.token_hex(16)
        with store_errors("create", path):
            self._folder.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=False)
        return self._known.setdefault(path.name, Upload(path))

    def get(self, identifier: str) -> Upload:
        """A session by its name; raises OCIError when there is none."""
        if not _IDENTIFIER.fullmatch(identifier):
            raise unknown_upload(identifier)
        upload = self._known.setdefault(identifier, Upload(self._folder / identifier))
        if not upload.path.is_file():
            self.forget(identifier)
            raise unknown_upload(identifier)
        return upload

    def finish(self, upload: Upload, expected: Digest) -> None:
        """Make the session's bytes a blob; raises DigestMismatch and forgets them then."""
        try:
            upload.finish(self._store, expected)
        finally:
            if not upload.path.exists():
                self.forget(upload.identifier)

    def cancel(self, identifier: str) -> None:
        """Throw a session away; raises OCIError when there is none."""
        self.get(identifier).path.unlink(missing_ok=True)
        self.forget(identifier)

    def forget(self, identifier: str) -> None:
        """Drop what is remembered of a session that is over."""
        self._known.pop(identifier, None)

    def expire(self, now: float | None = None) -> None:
        """Remove the sessions that nobody continued for a day."""
        cutoff = (time.time() if now is None else now) - MAX_AGE
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if _IDENTIFIER.fullmatch(path.name) and _age(path) < cutoff:
                path.unlink(missing_ok=True)
                self.forget(path.name)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def unknown_upload(identifier: str) -> OCIError:
    """There is no such session, or no longer."""
    return OCIError(404, "BLOB_UPLOAD_UNKNOWN", f"no upload {identifier[:64]}")


def out_of_order(identifier: str, size: int) -> OCIError:
    """The bytes offered do not continue the session: 416 with what is there."""
    return OCIError(
        416,
        "BLOB_UPLOAD_INVALID",
        f"upload {identifier} has {size} bytes; continue there",
        headers={"Range": received(size), "Docker-Upload-UUID": identifier},
    )


def received(size: int) -> str:
    """The Range header for bytes received; an empty session reads `0-0`, as everywhere."""
    return f"0-{max(size - 1, 0)}"
