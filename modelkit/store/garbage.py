"""What no model refers to any more: finding it and removing it."""

import time
from collections.abc import Callable
from pathlib import Path

from modelkit.digest import Digest
from modelkit.errors import (
    BlobNotFound,
    InvalidDigest,
    ManifestError,
    ModelNotFound,
    StoreError,
    store_errors,
)
from modelkit.manifest import MAX_MANIFEST_SIZE, Descriptor, Manifest
from modelkit.names import ModelName
from modelkit.store import locks
from modelkit.store.blobs import BlobFolder
from modelkit.store.manifests import ManifestFolder

PARTIAL_MAX_AGE = 7 * 24 * 3600.0
"""Seconds that an interrupted download waits to be resumed."""


def references(store: BlobFolder, manifest: Manifest) -> set[Digest]:
    """Every blob the manifest needs; an index needs its manifests and all that they need."""
    found = {descriptor.digest for descriptor in manifest.descriptors()}
    for child in manifest.manifests:
        found.add(child.digest)
        found |= _child_references(store, child)
    return found


def _child_references(store: BlobFolder, child: Descriptor) -> set[Digest]:
    try:
        manifest = Manifest.parse(store.read_blob(child.digest, MAX_MANIFEST_SIZE))
    except (BlobNotFound, ManifestError, StoreError):
        return set()
    return {descriptor.digest for descriptor in manifest.descriptors()}


def collect(
    store: ManifestFolder,
    wanted: Callable[[Digest], bool],
    older_than: float | None = None,
) -> list[Digest]:
    """Remove the unreferenced blobs that `wanted` picks; with a cutoff also stale leftovers.

    Does nothing while a writer holds the lock, or when any manifest cannot be read: what it
    refers to is then unknown.
    """
    if not store.blobs.is_dir():
        return []
    with locks.exclusive(store.lock, wait=False) as alone:
        if not alone:
            return []
        try:
            used = set[Digest]().union(*(_used(store, name) for name in store.names()))
        except ManifestError:
            return []
        removed = []
        for path in list(store.blobs.iterdir()):
            digest = _blob_digest(path)
            if digest is None:
                _remove_leftover(path, older_than)
            elif digest not in used and wanted(digest) and _is_old(path, older_than):
                with store_errors("remove", path):
                    path.unlink(missing_ok=True)
                removed.append(digest)
        return removed


def _used(store: ManifestFolder, name: ModelName) -> set[Digest]:
    try:
        return references(store, store.manifest(name))
    except ModelNotFound:
        return set()  # deleted by another process since it was listed


def _remove_leftover(path: Path, older_than: float | None) -> None:
    if older_than is None or not path.is_file():
        return
    cutoff = older_than
    if "-partial" in path.name:
        cutoff = min(cutoff, time.time() - PARTIAL_MAX_AGE)
    if path.stat().st_mtime < cutoff:
        path.unlink(missing_ok=True)


def _is_old(path: Path, older_than: float | None) -> bool:
    return older_than is None or path.stat().st_mtime < older_than


def _blob_digest(path: Path) -> Digest | None:
    try:
        return Digest.parse(path.name)
    except InvalidDigest:
        return None


def remove_empty_folders(folder: Path, top: Path) -> None:
    """Remove `folder` and its parents up to and including `top` while they are empty."""
    while folder.is_relative_to(top):
        try:
            folder.rmdir()
        except OSError:
            return  # not empty, or somebody just wrote there
        folder = folder.parent
