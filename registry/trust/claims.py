"""What both signature formats have in common: candidates found, and what they claim."""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from modelkit.digest import Digest
from modelkit.errors import (
    AuthError,
    Cancelled,
    ModelkitError,
    SignatureError,
    Unreachable,
)
from modelkit.manifest import Manifest

MAX_SIGNATURES = 128
"""Signatures of one model that are looked at, per format; the rest is ignored."""
MAX_PAYLOAD_SIZE = 128 * 1024
"""Bytes of a signed payload or of a whole bundle."""
MAX_MANIFEST_SIZE = 1024 * 1024
"""Bytes of a signature manifest or of an index of referrers."""


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

    def blob(self, digest: Digest, limit: int) -> bytes:
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


@dataclass(frozen=True)
class Subject:
    """One thing a signer vouches for: a manifest's digest under a reference (may be empty)."""

    digest: Digest
    reference: str


@dataclass(frozen=True)
class Claim:
    """What a payload says, to be believed only once its signature is verified."""

    subjects: tuple[Subject, ...]
    creator: str = ""


@dataclass(frozen=True)
class Candidate:
    """Signatures over a message, neither verified nor parsed yet.

    `claim` parses the message, raising SignatureError; call it after the signature was verified,
    so that no stranger's bytes reach the parser.
    """

    format: str
    message: bytes
    signatures: tuple[bytes, ...]
    claim: Callable[[], Claim]


@contextmanager
def damaged(found: list[SignatureError]) -> Iterator[None]:
    """Collect what makes one signature unusable; a registry that is away still stops the work."""
    try:
        yield
    except (Cancelled, Unreachable, AuthError):
        raise
    except SignatureError as error:
        found.append(error)
    except ModelkitError as error:
        found.append(SignatureError(error.message))


def read_manifest(source: SignatureSource, reference: str) -> Manifest | None:
    """A signature manifest or index, size-checked, and hash-checked when asked for by digest."""
    raw = source.manifest(reference)
    if raw is None:
        return None
    if len(raw) > MAX_MANIFEST_SIZE:
        raise SignatureError(f"{reference} is {len(raw)} bytes, more than {MAX_MANIFEST_SIZE}")
    if reference.startswith("sha256:") and str(Digest.of(raw)) != reference:
        raise SignatureError(f"{reference} has other bytes than its digest says")
    return Manifest.parse(raw)


def read_blob(source: SignatureSource, digest: Digest) -> bytes:
    """A payload or bundle, size- and hash-checked."""
    data = source.blob(digest, MAX_PAYLOAD_SIZE)
    if len(data) > MAX_PAYLOAD_SIZE:
        raise SignatureError(f"blob {digest} is {len(data)} bytes, more than {MAX_PAYLOAD_SIZE}")
    if Digest.of(data) != digest:
        raise SignatureError(f"blob {digest} has other bytes than its digest says")
    return data


def decode_base64(text: object, what: str) -> bytes:
    """Standard base64, strictly; raises SignatureError."""
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        raise SignatureError(f"{what} is not base64") from None


def load_object(data: bytes, what: str) -> dict[str, Any]:
    """A JSON object without repeated keys; raises SignatureError."""
    try:
        value = json.loads(data, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError):
        raise SignatureError(f"{what} is not a JSON object") from None
    if not isinstance(value, dict):
        raise SignatureError(f"{what} is not a JSON object")
    return value


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `object_pairs_hook`: two readers must not see two values. Raises ValueError."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is repeated")
    return value


def child(value: Mapping[str, Any], key: str, what: str) -> dict[str, Any]:
    """The object under `key`; raises SignatureError."""
    found = value.get(key)
    if not isinstance(found, dict):
        raise SignatureError(f"{what} has no {key}")
    return found


def compact(value: object) -> bytes:
    """JSON without spaces, as every signing tool writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
