"""What a trust policy can require of a model: the requirement objects of policy.json.

Reading is strict, as containers-policy.json(5) demands: a type or key that is not known makes the
whole file invalid, and a kind that is known but not supported refuses every model it applies to.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from modelkit.errors import ModelkitError, Refused
from modelkit.names import ModelName
from modelkit.registry.trust import identity
from modelkit.registry.trust.claims import SignatureSource
from modelkit.registry.trust.keys import PublicKey, load_public
from modelkit.registry.trust.signing import Signature, verify


class Requirement(Protocol):
    """One condition that a model must meet."""

    def check(
        self, name: ModelName, manifest_raw: bytes, source: SignatureSource
    ) -> tuple[Signature, ...]:
        """The signatures that fulfil it, if it wants any; raises Refused with the bare reason."""
        ...


@dataclass(frozen=True)
class AcceptAnything:
    """`insecureAcceptAnything`: no condition."""

    def check(
        self, name: ModelName, manifest_raw: bytes, source: SignatureSource
    ) -> tuple[Signature, ...]:
        """Accept."""
        return ()


@dataclass(frozen=True)
class Reject:
    """`reject`, and what cannot be checked here: no model meets it."""

    reason: str = "the policy rejects every model there"

    def check(
        self, name: ModelName, manifest_raw: bytes, source: SignatureSource
    ) -> tuple[Signature, ...]:
        """Refuse."""
        raise Refused(self.reason)


@dataclass(frozen=True)
class SigstoreSigned:
    """`sigstoreSigned`: one of the keys signed the manifest under an identity that fits.

    Key files are read when a model is checked, so that a missing one hurts only its own scope.
    """

    paths: tuple[Path, ...]
    keys: tuple[PublicKey, ...]
    rule: identity.IdentityRule

    def check(
        self, name: ModelName, manifest_raw: bytes, source: SignatureSource
    ) -> tuple[Signature, ...]:
        """Verify; raises Refused when no signature holds or a key cannot be read."""
        try:
            keys = self.keys + tuple(load_public(path) for path in self.paths)
        except ModelkitError as error:
            raise Refused(error.message, hint="mend the policy's key") from None
        found = verify(name, manifest_raw, source, keys, self.rule)
        if not found.verified:
            raise Refused(f"{found.failure.reason.value} ({found.failure.detail})")
        return found.signatures


class Invalid(ValueError):
    """A policy that does not follow the grammar; the text says where."""


def parse_requirements(value: object, folder: Path) -> tuple[Requirement, ...]:
    """A list of requirement objects; relative key paths start at `folder`. Raises Invalid."""
    if not isinstance(value, list) or not value:
        raise Invalid("requirements must be a list that is not empty")
    return tuple(_parse_requirement(item, folder) for item in value)


_KEY_SOURCES = ("keyPath", "keyPaths", "keyData", "keyDatas")
_KEYLESS = (
    "fulcio",
    "pki",
    "rekorPublicKeyPath",
    "rekorPublicKeyPaths",
    "rekorPublicKeyData",
    "rekorPublicKeyDatas",
)
_GPG = ("keyType", "keyPath", "keyPaths", "keyData", "signedIdentity")


def _parse_requirement(value: object, folder: Path) -> Requirement:
    if not isinstance(value, dict):
        raise Invalid("a requirement must be an object")
    kind = value.get("type")
    if kind == "insecureAcceptAnything":
        allow_keys(value, ("type",))
        return AcceptAnything()
    if kind == "reject":
        allow_keys(value, ("type",))
        return Reject()
    if kind == "signedBy":
        allow_keys(value, ("type", *_GPG))
        return Reject("the policy wants a GPG signature (signedBy), which is not supported")
    if kind == "sigstoreSigned":
        allow_keys(value, ("type", "signedIdentity", *_KEY_SOURCES, *_KEYLESS))
        return _parse_sigstore(value, folder)
    raise Invalid(f"unknown requirement type {kind!r}")


def _parse_sigstore(value: Mapping[str, Any], folder: Path) -> Requirement:
    if any(key in value for key in _KEYLESS):
        return Reject("the policy wants a keyless signature (fulcio, rekor), not supported")
    given = [key for key in _KEY_SOURCES if key in value]
    if len(given) != 1:
        raise Invalid(f"sigstoreSigned needs exactly one of {', '.join(_KEY_SOURCES)}")
    texts = _texts(value[given[0]], given[0])
    rule = parse_identity(value.get("signedIdentity", {"type": "matchRepoDigestOrExact"}))
    if given[0].startswith("keyPath"):
        return SigstoreSigned(tuple(folder / text for text in texts), (), rule)
    return SigstoreSigned((), tuple(_decode_key(text) for text in texts), rule)


def _texts(value: object, key: str) -> tuple[str, ...]:
    items = value if key.endswith("s") else [value]
    if not isinstance(items, list) or not items:
        raise Invalid(f"{key} must be a list that is not empty")
    if not all(isinstance(item, str) and item for item in items):
        raise Invalid(f"{key} must be text")
    return tuple(items)


def _decode_key(text: str) -> PublicKey:
    try:
        return PublicKey.parse(base64.b64decode(text, validate=True), "key data")
    except (binascii.Error, ValueError):
        raise Invalid("keyData is not base64") from None
    except ModelkitError as error:
        raise Invalid(error.message) from None


def parse_identity(value: object) -> identity.IdentityRule:
    """A `signedIdentity` object; raises Invalid."""
    if not isinstance(value, dict):
        raise Invalid("signedIdentity must be an object")
    kind = value.get("type")
    if kind in ("matchExact", "matchRepoDigestOrExact"):
        allow_keys(value, ("type",))
        return identity.MatchExact()
    if kind == "matchRepository":
        allow_keys(value, ("type",))
        return identity.MatchRepository()
    if kind == "exactReference":
        return identity.ExactReference(_reference(value, "dockerReference", bare=False))
    if kind == "exactRepository":
        return identity.ExactRepository(_reference(value, "dockerRepository", bare=True))
    if kind == "remapIdentity":
        allow_keys(value, ("type", "prefix", "signedPrefix"))
        return identity.RemapIdentity(_prefix(value, "prefix"), _prefix(value, "signedPrefix"))
    raise Invalid(f"unknown signedIdentity type {kind!r}")


def _reference(value: Mapping[str, Any], key: str, *, bare: bool) -> str:
    allow_keys(value, ("type", key))
    text = value.get(key)
    found = identity.Reference.parse(text) if isinstance(text, str) else None
    if found is None or found.is_bare != bare:
        wanted = "host/repository" if bare else "host/repository:tag"
        raise Invalid(f"{key} must read {wanted}, not {text!r}")
    return str(text)


def _prefix(value: Mapping[str, Any], key: str) -> str:
    text = value.get(key)
    if not isinstance(text, str) or not identity.is_prefix(text):
        raise Invalid(f"{key} must be a host, a namespace or a repository, not {text!r}")
    return text


def allow_keys(value: Mapping[str, Any], allowed: Iterable[str]) -> None:
    """Raise Invalid when the object has any other key."""
    unknown = sorted(set(value) - set(allowed))
    if unknown:
        raise Invalid(f"unknown key {unknown[0]!r}")
