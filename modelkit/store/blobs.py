"""The blobs of a store: bytes under the name of their digest."""

import hashlib
import os
from contextlib import AbstractContextManager
from io import BufferedReader
from pathlib import Path

from modelkit.digest import Digest
from modelkit.errors import BlobNotFound, StoreError, store_errors
from modelkit.progress import Progress, Report, silent
from modelkit.store import locks
from modelkit.store.writer import CHUNK_SIZE, BlobWriter, sync_file, sync_folder


class BlobFolder:
    """`blobs/` below `root`. A blob appears complete or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs"
        self.lock = root / ".lock"

    def lease(self) -> AbstractContextManager[None]:
        """Hold this from a model's first blob to its manifest: nothing is collected meanwhile."""
        return locks.shared(self.lock)

    def blob_path(self, digest: Digest) -> Path:
        """Where the blob lies, or would."""
        return self.blobs / digest.filename

    def has_blob(self, digest: Digest) -> bool:
        """Whether the blob is there."""
        return self.blob_path(digest).is_file()

    def blob_size(self, digest: Digest) -> int:
        """The blob's size in bytes; raises BlobNotFound."""
        try:
            return self.blob_path(digest).stat().st_size
        except FileNotFoundError:
            raise BlobNotFound(digest) from None

    def open_blob(self, digest: Digest) -> BufferedReader:
        """The blob, opened for reading; raises BlobNotFound."""
        try:
            with store_errors("read", self.blob_path(digest)):
                return self.blob_path(digest).open("rb")
        except StoreError:
            if not self.has_blob(digest):
                raise BlobNotFound(digest) from None
            raise

    def read_blob(self, digest: Digest, limit: int = 16 * 1024 * 1024) -> bytes:
        """A small blob's bytes; raises BlobNotFound, StoreError when larger than `limit` bytes."""
        size = self.blob_size(digest)
        if size > limit:
            raise StoreError(f"blob {digest} has {size} bytes, more than the {limit} expected")
        with self.open_blob(digest) as file:
            return file.read()

    def writer(self, expected: Digest | None = None) -> BlobWriter:
        """Write a blob from a stream; see BlobWriter."""
        return BlobWriter(self.blobs, self.lock, expected)

    def add_bytes(self, data: bytes) -> Digest:
        """Store a small blob; one that is there already is kept."""
        digest = Digest.of(data)
        if not self._reuse(digest):
            with self.writer(digest) as writer:
                writer.write(data)
        return digest

    def add_file(self, path: Path, report: Report = silent) -> tuple[Digest, int]:
        """Store a file's bytes; returns the digest and the size in bytes."""
        with store_errors("read", path), path.open("rb") as file, self.writer() as writer:
            total = os.fstat(file.fileno()).st_size
            while chunk := file.read(CHUNK_SIZE):
                writer.write(chunk)
                report(Progress(f"copying {path.name}", total=total, completed=writer.size))
        return writer.digest, writer.size

    def partial_path(self, digest: Digest) -> Path:
        """Where an unfinished download of the blob lies; it survives restarts."""
        return self.blobs / f"{digest.filename}-partial"

    def promote(self, digest: Digest) -> None:
        """Make the finished download a blob. The caller has checked its hash."""
        partial = self.partial_path(digest)
        with store_errors("write", self.blob_path(digest)):
            sync_file(partial)
            partial.replace(self.blob_path(digest))
            sync_folder(self.blobs)

    def _reuse(self, digest: Digest) -> bool:
        try:
            os.utime(self.blob_path(digest))  # a young blob is not collected
        except FileNotFoundError:
            return False
        except OSError:
            return self.has_blob(digest)
        return True

    def hash_blob(self, digest: Digest) -> Digest:
        """The digest of the bytes that really lie under this name."""
        with self.open_blob(digest) as file:
            return Digest(hashlib.file_digest(file, "sha256").hexdigest())
