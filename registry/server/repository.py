"""One repository of the embedded registry: a model's tags in the store, and its signatures."""

import re
from collections.abc import Iterator

from modelkit.digest import Digest
from modelkit.errors import BlobNotFound, InvalidName, ManifestError, ModelNotFound
from modelkit.manifest import MAX_MANIFEST_SIZE, Manifest, MediaType
from modelkit.names import DEFAULT_HOST, DEFAULT_NAMESPACE, ModelName
from modelkit.registry.server.answers import OCIError
from modelkit.registry.trust import bundle
from modelkit.registry.trust.claims import compact
from modelkit.registry.trust.signing import StoreSignatures
from modelkit.store import Store

MANIFEST_TYPES = (
    MediaType.MANIFEST_V2,
    MediaType.MANIFEST_LIST_V2,
    MediaType.OCI_MANIFEST,
    MediaType.OCI_INDEX,
)
_SIGNATURE_TAG = re.compile(r"sha256-[0-9a-f]{64}(\..+)?", re.ASCII)
_MAX_SIGNATURE_BLOB = 16 * 1024 * 1024
_EMPTY_INDEX = compact({"schemaVersion": 2, "mediaType": MediaType.OCI_INDEX, "manifests": []})


class Repository:
    """`namespace/model`, or `model` for `library/model`, as seen by OCI clients.

    Tags are models of the store, under the default host. Tags that begin with `sha256-<hex>` and
    artifacts that refer to a manifest go to `store.signatures`, where models' lists and Ollama
    never see them.
    """

    def __init__(self, store: Store, path: str) -> None:
        parts = path.split("/")
        if len(parts) > 2:
            raise InvalidName(f"{path[:200]!r} is no repository here: write namespace/model")
        namespace = parts[0] if len(parts) == 2 else DEFAULT_NAMESPACE
        self.path = path
        self._store = store
        self._name = ModelName(DEFAULT_HOST, namespace, parts[-1], "latest")
        self._signatures = StoreSignatures(store, self._name)

    def manifest(self, reference: str) -> Manifest:
        """The manifest of a tag or a digest; raises OCIError."""
        found = self._find(reference)
        if found is None:
            raise OCIError(404, "MANIFEST_UNKNOWN", f"no manifest {reference} in {self.path}")
        return found

    def _find(self, reference: str) -> Manifest | None:
        if is_digest(reference):
            return self._find_digest(Digest.parse(reference))
        if _SIGNATURE_TAG.fullmatch(reference):
            return _parsed(self._signatures.manifest(reference))
        try:
            return self._store.manifest(self._name.with_tag(reference))
        except ModelNotFound:
            return None

    def _find_digest(self, digest: Digest) -> Manifest | None:
        for _, manifest in self._tagged(self._store):
            if manifest.digest == digest:
                return manifest
        for _, manifest in self._tagged(self._store.signatures):
            if manifest.digest == digest:
                return manifest
        # Manifests that never had a tag are blobs: artifacts, and children of an index.
        raw = self._signatures.manifest(str(digest)) or self._untagged(digest)
        return _parsed(raw)

    def _untagged(self, digest: Digest) -> bytes | None:
        if not self._store.has_blob(digest) or self._store.blob_size(digest) > MAX_MANIFEST_SIZE:
            return None
        return self._store.read_blob(digest, MAX_MANIFEST_SIZE)

    def _tagged(self, store: Store) -> Iterator[tuple[ModelName, Manifest]]:
        for name in store.names():
            if name.with_tag("latest") == self._name:
                try:
                    yield name, store.manifest(name)
                except (ManifestError, ModelNotFound):
                    continue  # damaged, or removed since it was listed

    def put(self, reference: str, raw: bytes, content_type: str) -> Manifest:
        """Store a manifest under a tag or its digest; raises OCIError, ManifestError."""
        manifest = Manifest.parse(raw)
        if manifest.media_type not in MANIFEST_TYPES or content_type != manifest.media_type:
            raise OCIError(
                400,
                "MANIFEST_INVALID",
                f"the manifest says {manifest.media_type!r}, Content-Type {content_type!r}",
            )
        if is_digest(reference) and manifest.digest != Digest.parse(reference):
            raise OCIError(400, "DIGEST_INVALID", f"the manifest's digest is {manifest.digest}")
        try:
            self._check_references(manifest)
            self._put(reference, manifest)
        except BlobNotFound as error:
            raise OCIError(400, "MANIFEST_BLOB_UNKNOWN", error.message) from None
        return manifest

    def _put(self, reference: str, manifest: Manifest) -> None:
        if _SIGNATURE_TAG.fullmatch(reference):
            self._put_signature(reference, manifest)
            return
        if manifest.subject is not None:
            self._put_signature(str(manifest.digest), manifest)
        if not is_digest(reference):
            self._store.write_manifest(self._name.with_tag(reference), manifest)
        elif manifest.subject is None:
            self._store.add_bytes(manifest.raw)

    def _put_signature(self, reference: str, manifest: Manifest) -> None:
        with self._signatures.changing():
            for descriptor in manifest.descriptors():
                if descriptor.size > _MAX_SIGNATURE_BLOB:
                    message = f"blob {descriptor.digest} is too large for a signature"
                    raise OCIError(413, "SIZE_INVALID", message)
                if not self._store.signatures.has_blob(descriptor.digest):
                    data = self._store.read_blob(descriptor.digest, _MAX_SIGNATURE_BLOB)
                    self._signatures.put_blob(data)
            self._signatures.put_manifest(reference, manifest.raw, manifest.media_type)

    def _check_references(self, manifest: Manifest) -> None:
        """Raise BlobNotFound for what is not here, OCIError for a wrong size."""
        for descriptor in manifest.descriptors():
            if not self.has_blob(descriptor.digest):
                raise BlobNotFound(descriptor.digest)
            size = self.blob_store(descriptor.digest).blob_size(descriptor.digest)
            if size != descriptor.size:
                message = f"blob {descriptor.digest} has {size} bytes, not {descriptor.size}"
                raise OCIError(400, "SIZE_INVALID", message)
        for child in manifest.manifests:
            if self._find_digest(child.digest) is None:
                raise BlobNotFound(child.digest)

    def delete(self, reference: str) -> None:
        """Remove a tag, or every tag of a digest, or an artifact; raises OCIError."""
        if not is_digest(reference):
            self.manifest(reference)
            signature = _SIGNATURE_TAG.fullmatch(reference)
            store = self._store.signatures if signature else self._store
            store.delete(self._name.with_tag(reference))
            return
        digest = self.manifest(reference).digest
        for store in (self._store, self._store.signatures):
            doomed = [name for name, manifest in self._tagged(store) if manifest.digest == digest]
            for name in doomed:
                store.delete(name)
        with self._signatures.changing():
            self._signatures.remove_referrer(digest)

    def tags(self) -> list[str]:
        """Every tag, signatures' included, sorted; raises OCIError for an unknown repository."""
        stores = (self._store, self._store.signatures)
        names = [name for store in stores for name in store.names()]
        tags = sorted(name.tag for name in names if name.with_tag("latest") == self._name)
        if not tags:
            raise OCIError(404, "NAME_UNKNOWN", f"no repository {self.path}")
        return tags

    def referrers(self, subject: Digest, artifact_type: str | None) -> Manifest:
        """The index of artifacts that refer to `subject`, perhaps of one type only."""
        raw = self._signatures.manifest(bundle.tag(subject)) or _EMPTY_INDEX
        if artifact_type is not None:
            raw = bundle.filter_index(raw, lambda entry: entry.artifact_type == artifact_type)
        return Manifest.parse(raw)

    def has_blob(self, digest: Digest) -> bool:
        """Whether the blob can be fetched here."""
        return any(store.has_blob(digest) for store in (self._store, self._store.signatures))

    def blob_store(self, digest: Digest) -> Store:
        """The store that holds the blob; raises OCIError."""
        for store in (self._store, self._store.signatures):
            if store.has_blob(digest):
                return store
        raise OCIError(404, "BLOB_UNKNOWN", f"no blob {digest} in {self.path}")


def is_digest(reference: str) -> bool:
    """Whether a manifest reference is a digest: tags have no colon."""
    return ":" in reference


def _parsed(raw: bytes | None) -> Manifest | None:
    try:
        return None if raw is None else Manifest.parse(raw)
    except ManifestError:
        return None
