"""Sign a stored model and check a model's signatures, wherever they are kept."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from modelkit.digest import Digest


class SignatureSource(Protocol):
    """Where one repository's signatures can be read: the local store or a remote registry.

    References asked for, with `hex` the digest of the signed manifest:
    `sha256-<hex>.sig` (cosign signature manifest), `sha256-<hex>` (OCI index of referrers: a
    source may answer it from the referrers API or from the fallback tag), and `sha256:<hex>`
    (a referrer manifest, by its own digest).
    """

    def manifest(self, reference: str) -> bytes | None:
        """Exact bytes of a manifest, or None when the repository has none of that reference."""
        ...

    def blob(self, digest: "Digest", limit: int) -> bytes:
        """Exact bytes of a blob; raises a ModelkitError when absent or longer than `limit`."""
        ...


class SignatureTarget(SignatureSource, Protocol):
    """A repository that signatures can be copied to. Blobs arrive before their manifest."""

    def put_blob(self, data: bytes) -> None:
        """Store a blob under its sha256."""
        ...

    def put_manifest(self, reference: str, raw: bytes, media_type: str) -> None:
        """Store a manifest's exact bytes under a tag or, for `sha256:<hex>`, its own digest."""
        ...
