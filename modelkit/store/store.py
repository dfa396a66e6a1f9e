"""The store: names to manifests, manifests to blobs, safe under crashes and between processes."""

import hashlib
import os
import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from io import BufferedReader
from pathlib import Path

from modelkit.digest import Digest
from modelkit.errors import (
    BlobNotFound,
    DigestMismatch,
    InvalidName,
    ManifestError,
    ModelNotFound,
    StoreError,
    store_errors,
)
from modelkit.manifest import MAX_MANIFEST_SIZE, Manifest
from modelkit.names import ModelName
from modelkit.progress import Progress, Report, silent
from modelkit.settings import models_dir
from modelkit.store import garbage, locks
from modelkit.store.writer import CHUNK_SIZE, BlobWriter, sync_file, sync_folder


class Store:
    """Ollama's model folder (`manifests/` and `blobs/` below `root`).

    Blobs appear complete or not at all; manifests are replaced atomically and only when every
    blob is there; garbage is collected only while nobody holds a `lease`. So whatever process
    dies at whatever moment, each listed model is whole.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs"
        self.manifests = root / "manifests"
        self._lock = root / ".lock"

    @classmethod
    def default(cls) -> "Store":
        """The store that the environment names: MODELKIT_MODELS, OLLAMA_MODELS, ~/.modelkit."""
        return cls(models_dir())

    @cached_property
    def signatures(self) -> "Store":
        """A store of its own for signatures, below `signatures/`, where Ollama does not look.

        A model's signatures lie under its own name, with tags that begin with the file name of
        the signed manifest's digest.
        """
        return Store(self.root / "signatures")

    def lease(self) -> AbstractContextManager[None]:
        """Hold this from a model's first blob to its manifest: nothing is collected meanwhile."""
        return locks.shared(self._lock)

    # Blobs

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
        return BlobWriter(self.blobs, self._lock, expected)

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

    # Manifests

    def manifest(self, name: ModelName) -> Manifest:
        """The model's manifest; raises ModelNotFound, ManifestError."""
        path = self._manifest_path(self.resolve(name))
        try:
            with path.open("rb") as file:
                return Manifest.parse(file.read(MAX_MANIFEST_SIZE + 1))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ModelNotFound(str(name)) from None
        except ManifestError as error:
            raise ManifestError(f"{name}: {error.message}", hint="pull or build it again") from None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from error

    def exists(self, name: ModelName) -> bool:
        """Whether a manifest of this name, in any case, is there."""
        return self._manifest_path(self.resolve(name)).is_file()

    def resolve(self, name: ModelName) -> ModelName:
        """The name in the spelling on disk: parts that differ only in case are the stored ones."""
        if self._manifest_path(name).is_file():
            return name
        parts = {"host": name.host, "namespace": name.namespace}
        parts |= {"model": name.model, "tag": name.tag}
        for stored in self.names():
            for part, text in parts.items():
                if getattr(stored, part).lower() == text.lower():
                    parts[part] = getattr(stored, part)
        return ModelName(**parts, scheme=name.scheme)

    def write_manifest(self, name: ModelName, manifest: Manifest) -> None:
        """Make `name` this model, atomically.

        Raises BlobNotFound or StoreError, and changes nothing, when a blob is missing or has
        another size than the manifest says.
        """
        for descriptor in manifest.descriptors():
            size = self.blob_size(descriptor.digest)
            if size != descriptor.size:
                raise StoreError(
                    f"blob {descriptor.digest} has {size} bytes, the manifest says"
                    f" {descriptor.size}"
                )
        self._replace_manifest(name, manifest.raw)

    def _replace_manifest(self, name: ModelName, raw: bytes) -> None:
        path = self._manifest_path(self.resolve(name))
        # The temporary file lies among the blobs, where a crash leaves it to the collector.
        temporary = BlobWriter(self.blobs, self._lock).path
        with self.lease(), store_errors("write", path):
            self.blobs.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(raw)
                temporary.chmod(0o644)
                sync_file(temporary)
                _move(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)

    def names(self) -> list[ModelName]:
        """Every model's name, sorted; files that are no names are passed over."""
        return sorted(self._names(), key=lambda name: name.full.lower())

    def _names(self) -> Iterator[ModelName]:
        for path in _files_at_depth(self.manifests, 4):
            host, namespace, model, tag = path.parts[-4:]
            try:
                name = ModelName(host, namespace, model, tag)
            except InvalidName:
                continue
            yield name

    def modified_at(self, name: ModelName) -> float:
        """When the manifest was last written, in seconds since 1970; raises ModelNotFound."""
        try:
            return self._manifest_path(self.resolve(name)).stat().st_mtime
        except OSError:
            raise ModelNotFound(str(name)) from None

    def _manifest_path(self, name: ModelName) -> Path:
        return self.manifests / name.relative_path

    # Models

    def copy(self, source: ModelName, target: ModelName) -> None:
        """Give the model a second name; raises ModelNotFound."""
        manifest = self.manifest(source)
        self.write_manifest(target, manifest)

    def delete(self, name: ModelName) -> list[Digest]:
        """Forget the model; returns the digests of the blobs that went with it.

        The manifest goes first, so that a crash leaves garbage and never a broken model. Blobs
        that others use stay, and all stay for `prune` while another process is writing. Raises
        ModelNotFound.
        """
        path = self._manifest_path(self.resolve(name))
        doomed = garbage.references(self, self.manifest(name))
        digest = self.manifest(name).digest
        with store_errors("remove", path):
            path.unlink()
            garbage.remove_empty_folders(path.parent, self.manifests)
        if self.signatures.manifests.is_dir():
            self._delete_signatures(name, digest)
        return self.discard(doomed)

    def discard(self, digests: Collection[Digest]) -> list[Digest]:
        """Remove those of these blobs that no model uses; returns them.

        Call it after the lease has ended: while anybody holds one it removes nothing, and
        `prune` finds the garbage later.
        """
        return garbage.collect(self, self._lock, lambda found: found in digests)

    def _delete_signatures(self, name: ModelName, digest: Digest) -> None:
        others = [other for other in self.names() if other.with_tag(name.tag) == name]
        if any(self.manifest(other).digest == digest for other in others):
            return
        for stored in self.signatures.names():
            if stored.with_tag(name.tag) == name and stored.tag.startswith(digest.filename):
                self.signatures.delete(stored)

    def prune(self, min_age: float = 3600.0, now: float | None = None) -> list[Digest]:
        """Remove blobs that no model uses, if older than `min_age` seconds, and stale leftovers.

        Returns the digests removed. Removes nothing at all when a manifest cannot be read, or
        while another process is writing.
        """
        cutoff = (time.time() if now is None else now) - min_age
        removed = garbage.collect(self, self._lock, lambda _found: True, older_than=cutoff)
        if self.signatures.blobs.is_dir():
            removed += self.signatures.prune(min_age, now)
        return removed

    def tidy(self) -> list[Digest]:
        """What a server does at its start: old blob names become today's, then `prune`."""
        if not self.blobs.is_dir():
            return []
        with self.lease(), store_errors("rename", self.blobs):
            for path in self.blobs.rglob("sha256:*"):
                path.rename(path.with_name(path.name.replace(":", "-", 1)))
        return self.prune()

    def check(self, name: ModelName, report: Report = silent) -> list[str]:
        """Read and hash every blob of the model; returns what is wrong, one sentence each."""
        problems = []
        for descriptor in self.manifest(name).descriptors():
            digest = descriptor.digest
            report(Progress(f"verifying {digest.short}", digest, total=descriptor.size))
            if not self.has_blob(digest):
                problems.append(f"{descriptor.media_type} {digest} is missing")
                continue
            if self.blob_size(digest) != descriptor.size:
                problems.append(
                    f"{descriptor.media_type} {digest} has {self.blob_size(digest)} bytes,"
                    f" the manifest says {descriptor.size}"
                )
                continue
            actual = self.hash_blob(digest)
            if actual != digest:
                problems.append(DigestMismatch(digest, actual).message)
        return problems

    def hash_blob(self, digest: Digest) -> Digest:
        """The digest of the bytes that really lie under this name."""
        with self.open_blob(digest) as file:
            return Digest(hashlib.file_digest(file, "sha256").hexdigest())


def _files_at_depth(folder: Path, depth: int) -> Iterator[Path]:
    """The files exactly `depth` levels down; folders that vanish meanwhile are passed over."""
    try:
        with os.scandir(folder) as entries:
            children = list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return
    for child in children:
        if depth == 1 and child.is_file():
            yield Path(child.path)
        elif depth > 1 and child.is_dir():
            yield from _files_at_depth(Path(child.path), depth - 1)


def _move(source: Path, target: Path) -> None:
    """Rename into a folder that another process may just be removing because it is empty."""
    for attempt in range(10):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            sync_folder(target.parent)
            return
        except FileNotFoundError:
            if attempt == 9:
                raise
