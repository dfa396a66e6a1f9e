"""A model's signatures in the local store, in the shape a registry would hold them."""

from collections.abc import Iterator
from contextlib import contextmanager

from modelkit.digest import Digest
from modelkit.errors import BlobNotFound, ManifestError, ModelNotFound
from modelkit.manifest import Manifest, MediaType
from modelkit.names import ModelName
from modelkit.registry.trust import bundle
from modelkit.registry.trust.claims import MAX_MANIFEST_SIZE
from modelkit.store import Store, locks


class StoreSignatures:
    """The signatures of one repository in `store.signatures`; a source and a target.

    Tags are manifests there. Manifests known by digest only (the bundles' artifacts) are blobs,
    and the index under `sha256-<hex of the subject>` keeps them from the garbage collector.
    """

    def __init__(self, store: Store, name: ModelName) -> None:
        self._store = store.signatures
        self._name = name

    def manifest(self, reference: str) -> bytes | None:
        """A manifest's bytes by tag or by `sha256:<hex>`, or None."""
        try:
            if reference.startswith("sha256:"):
                return self._store.read_blob(Digest.parse(reference), MAX_MANIFEST_SIZE)
            return self._store.manifest(self._name.with_tag(reference)).raw
        except (ModelNotFound, BlobNotFound):
            return None

    def blob(self, digest: Digest, limit: int) -> bytes:
        """A payload's or bundle's bytes; raises BlobNotFound, StoreError when over `limit`."""
        return self._store.read_blob(digest, limit)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold this around every change: signers of one model do not overwrite each other."""
        with self._store.lease(), locks.exclusive(self._store.root / ".change-lock", wait=True):
            yield

    def put_blob(self, data: bytes) -> None:
        """Keep a blob, until its manifest is there by holding `changing`."""
        self._store.add_bytes(data)

    def put_manifest(self, reference: str, raw: bytes, media_type: str) -> None:
        """Keep a manifest; one given by digest is also entered in its subject's index.

        Raises ManifestError when it is none, is not the `reference` it is given for, or refers to
        nothing; BlobNotFound or StoreError when its blobs are not there.
        """
        manifest = Manifest.parse(raw)
        if manifest.media_type != media_type:
            raise ManifestError(f"the manifest is a {manifest.media_type}, not a {media_type}")
        if reference.startswith("sha256:"):
            self._put_referrer(reference, manifest)
        else:
            self._store.write_manifest(self._name.with_tag(reference), manifest)

    def _put_referrer(self, reference: str, manifest: Manifest) -> None:
        if str(manifest.digest) != reference:
            raise ManifestError(f"the manifest's digest is {manifest.digest}, not {reference}")
        if manifest.subject is None:
            raise ManifestError("a manifest without a tag must refer to another one")
        for descriptor in manifest.descriptors():
            self._store.blob_size(descriptor.digest)
        self._store.add_bytes(manifest.raw)
        tag = bundle.tag(manifest.subject.digest)
        index = bundle.merge_index(self.manifest(tag), manifest.raw)
        if index is not None:
            self.put_manifest(tag, index, MediaType.OCI_INDEX)

    def remove_referrer(self, digest: Digest) -> None:
        """Forget an artifact: the indexes that list it drop it, then the collector its bytes."""
        for name in self._store.names():
            if name.with_tag(self._name.tag) != self._name:
                continue
            index = self._store.manifest(name)
            if digest in {entry.digest for entry in index.manifests}:
                raw = bundle.filter_index(index.raw, lambda entry: entry.digest != digest)
                self._store.write_manifest(name, Manifest.parse(raw))
