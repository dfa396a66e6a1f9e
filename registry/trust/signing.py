"""Sign a stored model, and check a model's signatures wherever they are kept."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from modelkit.digest import Digest
from modelkit.errors import SignatureError
from modelkit.manifest import Manifest, MediaType
from modelkit.names import ModelName
from modelkit.registry.trust import bundle, simplesigning
from modelkit.registry.trust.claims import (
    Candidate,
    SignatureSource,
    SignatureTarget,
    Subject,
)
from modelkit.registry.trust.identity import IdentityRule
from modelkit.registry.trust.keys import PrivateKey, PublicKey
from modelkit.registry.trust.signature_copy import keep_signatures, publish_signatures
from modelkit.registry.trust.signature_store import StoreSignatures
from modelkit.store import Store

__all__ = [
    "Failure",
    "Reason",
    "Signature",
    "SignatureSource",
    "SignatureTarget",
    "StoreSignatures",
    "Verification",
    "keep_signatures",
    "publish_signatures",
    "sign",
    "verify",
]


class Reason(Enum):
    """Why a signature does not count, the most telling last."""

    NO_SIGNATURE = "no signature"
    MALFORMED = "malformed signature"
    WRONG_KEY = "not signed by a trusted key"
    WRONG_DIGEST = "the signature is for another manifest"
    WRONG_IDENTITY = "the signature is for another name"


@dataclass(frozen=True)
class Signature:
    """A signature that holds: who made it, in which format, over which reference."""

    key: PublicKey
    format: str
    reference: str
    creator: str = ""


@dataclass(frozen=True)
class Failure:
    """A signature that does not count, and why."""

    reason: Reason
    detail: str
    format: str = ""


@dataclass(frozen=True)
class Verification:
    """What was found for one manifest. It is verified when at least one signature holds."""

    name: ModelName
    digest: Digest
    signatures: tuple[Signature, ...]
    failures: tuple[Failure, ...]

    @property
    def verified(self) -> bool:
        """Whether a trusted key signed this manifest under an accepted name."""
        return bool(self.signatures)

    @property
    def failure(self) -> Failure:
        """The failure that says most about why nothing holds."""
        order = list(Reason)
        none = Failure(Reason.NO_SIGNATURE, f"{self.digest} has no signature")
        return max(self.failures, key=lambda found: order.index(found.reason), default=none)

    def require(self) -> None:
        """Raise SignatureError unless verified."""
        if not self.verified:
            raise SignatureError(
                f"{self.name} is not verified: {self.failure.reason.value}: {self.failure.detail}"
            )


def sign(name: ModelName, store: Store, key: PrivateKey, creator: str = "modelkit") -> Verification:
    """Sign a stored model's manifest; the signatures go to `store.signatures`.

    Writes both formats: cosign's `.sig` manifest and a sigstore bundle with its index. Signers
    add up; the same key signing again changes nothing. Returns what now holds for this key.
    Raises ModelNotFound, StoreError.
    """
    name = store.resolve(name)
    manifest = store.manifest(name)
    target = StoreSignatures(store, name)
    with target.changing():
        _attach_simple(manifest, name.full, target, key, creator)
        _attach_bundle(manifest, name.full, target, key)
    return verify(name, manifest.raw, target, [key.public])


def _attach_simple(
    manifest: Manifest, reference: str, target: SignatureTarget, key: PrivateKey, creator: str
) -> None:
    payload = simplesigning.encode_payload(reference, manifest.digest, creator)
    target.put_blob(payload)
    layer = simplesigning.new_layer(payload, key.sign(payload))
    simplesigning.attach([layer], manifest.digest, target)


def _attach_bundle(
    manifest: Manifest, reference: str, target: SignatureTarget, key: PrivateKey
) -> None:
    data = bundle.encode(bundle.encode_statement(reference, manifest.digest), key)
    target.put_blob(bundle.EMPTY)
    target.put_blob(data)
    raw = bundle.referrer(data, manifest)
    target.put_manifest(str(Digest.of(raw)), raw, MediaType.OCI_MANIFEST)


def verify(
    name: ModelName,
    manifest_raw: bytes,
    source: SignatureSource,
    keys: Collection[PublicKey],
    identity: IdentityRule | None = None,
) -> Verification:
    """Check the signatures that `source` keeps for exactly these manifest bytes.

    A signature counts when one of `keys` made it, it names the manifest's digest, and `identity`
    accepts the reference it names (None accepts any). Nothing is raised for a signature that does
    not count; what `source` raises because it cannot be reached passes through.
    """
    digest = Digest.of(manifest_raw)
    problems: list[SignatureError] = []
    found = simplesigning.candidates(digest, source, problems)
    found += bundle.candidates(digest, source, problems)
    outcomes = [_judge(candidate, name, digest, keys, identity) for candidate in found]
    failures = [Failure(Reason.MALFORMED, problem.message) for problem in problems]
    return Verification(
        name,
        digest,
        tuple(outcome for outcome in outcomes if isinstance(outcome, Signature)),
        tuple(outcome for outcome in outcomes if isinstance(outcome, Failure)) + tuple(failures),
    )


def _judge(
    candidate: Candidate,
    name: ModelName,
    digest: Digest,
    keys: Collection[PublicKey],
    identity: IdentityRule | None,
) -> Signature | Failure:
    kind = candidate.format
    key = _signer(candidate, keys)
    if key is None:
        known = ", ".join(sorted(key.fingerprint for key in keys)) or "none"
        return Failure(Reason.WRONG_KEY, f"trusted keys: {known}", kind)
    try:
        claim = candidate.claim()
    except SignatureError as error:
        return Failure(Reason.MALFORMED, error.message, kind)
    subjects = [subject for subject in claim.subjects if subject.digest == digest]
    if not subjects:
        named = claim.subjects[0].digest
        return Failure(Reason.WRONG_DIGEST, f"it names {named}, not {digest}", kind)
    accepted = [subject for subject in subjects if _fits(subject, name, identity)]
    if not accepted:
        named_reference = subjects[0].reference or "no name"
        return Failure(Reason.WRONG_IDENTITY, f"it names {named_reference}", kind)
    return Signature(key, kind, accepted[0].reference, claim.creator)


def _signer(candidate: Candidate, keys: Collection[PublicKey]) -> PublicKey | None:
    for key in keys:
        if any(key.verifies(signature, candidate.message) for signature in candidate.signatures):
            return key
    return None


def _fits(subject: Subject, name: ModelName, identity: IdentityRule | None) -> bool:
    return identity is None or identity.accepts(name, subject.reference)
