"""A repository's signatures on a registry, to read from and to publish to."""

import re

from modelkit.digest import Digest
from modelkit.errors import ManifestError, NotFound, RegistryError
from modelkit.manifest import Manifest
from modelkit.registry.client import RegistryClient
from modelkit.registry.transfer.upload import upload_bytes

_FALLBACK_TAG = re.compile(r"sha256-([0-9a-f]{64})")
_ABSENT = frozenset({400, 401, 403, 404, 405})


class RemoteSignatures:
    """Reads and writes the signatures kept beside a model on its registry.

    The index of referrers comes from the registry's referrers API where it has one with entries,
    else from the fallback tag.
    """

    def __init__(self, client: RegistryClient, repository: str) -> None:
        self._client = client
        self._repository = repository

    def manifest(self, reference: str) -> bytes | None:
        """A manifest's exact bytes, or None when there is none that we may see."""
        match = _FALLBACK_TAG.fullmatch(reference)
        if match is not None:
            index = self._referrers(Digest(match[1]))
            if index is not None:
                return index
        try:
            return self._client.manifest(self._repository, reference)[0]
        except NotFound:
            return None
        except RegistryError as error:
            # Some registries refuse to speak of a tag they do not have.
            if error.status in _ABSENT:
                return None
            raise

    def blob(self, digest: Digest, limit: int) -> bytes:
        """A payload's or bundle's checked bytes; raises NotFound, RegistryError."""
        return self._client.blob(self._repository, digest, limit)

    def put_blob(self, data: bytes) -> None:
        """Store a blob on the registry."""
        upload_bytes(self._client, self._repository, data)

    def put_manifest(self, reference: str, raw: bytes, media_type: str) -> None:
        """Store a manifest's exact bytes under a tag or its own digest."""
        self._client.put_manifest(self._repository, reference, raw, media_type)

    def _referrers(self, digest: Digest) -> bytes | None:
        try:
            raw = self._client.referrers(self._repository, digest)
            return raw if raw is not None and Manifest.parse(raw).manifests else None
        except (ManifestError, RegistryError) as error:
            if isinstance(error, RegistryError) and error.status not in _ABSENT:
                raise
            return None
