"""Signing keys: make, load and name them. Signatures are pure Ed25519 (RFC 8032) over the message.

Public keys may also be ECDSA P-256 (with SHA-256), which cosign makes by default.
"""

import base64
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from modelkit.digest import Digest
from modelkit.errors import NotFound, UsageError

MAX_KEY_SIZE = 64 * 1024
_KEY_FORMS = "an Ed25519 key as PEM (PKCS#8) or OpenSSH"


@dataclass(frozen=True)
class PublicKey:
    """A key that checks signatures; equal when the key itself is equal, wherever it was read."""

    der: bytes = field(repr=False)
    source: str = field(default="", compare=False)

    @classmethod
    def parse(cls, data: bytes, source: str = "key") -> "PublicKey":
        """Read SPKI PEM or an OpenSSH line; `source` names it in messages.

        Raises UsageError for anything but Ed25519 and ECDSA P-256.
        """
        hint = f"{source} must hold an Ed25519 or ECDSA P-256 public key, as PEM or OpenSSH line"
        if len(data) > MAX_KEY_SIZE:
            raise UsageError(f"not a public key: {source} is {len(data)} bytes", hint=hint)
        try:
            if data.lstrip().startswith(b"-----"):
                key = form.load_pem_public_key(data)
            else:
                key = form.load_ssh_public_key(data.strip())
        except (ValueError, UnsupportedAlgorithm):
            raise UsageError(f"not a public key: {source}", hint=hint) from None
        if not _is_supported(key):
            raise UsageError(f"unsupported key type: {source}", hint=hint)
        return cls(key.public_bytes(form.Encoding.DER, _SPKI), source)

    @property
    def fingerprint(self) -> str:
        """`sha256:<hex>` of the SPKI DER: the name of the key."""
        return str(Digest.of(self.der))

    @property
    def hint(self) -> str:
        """The fingerprint as sigstore bundles write it: base64 of the 32 bytes."""
        return base64.b64encode(bytes.fromhex(Digest.of(self.der).hex)).decode()

    @property
    def pem(self) -> bytes:
        """SPKI PEM, as written to `.pub` files."""
        key = form.load_der_public_key(self.der)
        return key.public_bytes(form.Encoding.PEM, _SPKI)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether this key made `signature` over exactly `message`."""
        key = form.load_der_public_key(self.der)
        try:
            if isinstance(key, Ed25519PublicKey):
                key.verify(signature, message)
            elif isinstance(key, EllipticCurvePublicKey):
                key.verify(signature, message, ECDSA(hashes.SHA256()))
            else:
                return False
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class PrivateKey:
    """An Ed25519 key that signs. It never shows its bytes."""

    _key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """The key that checks what this one signs."""
        return PublicKey(self._key.public_key().public_bytes(form.Encoding.DER, _SPKI))

    def sign(self, message: bytes) -> bytes:
        """64 bytes: pure Ed25519 over the message itself, never over a hash of it."""
        return self._key.sign(message)


def load_public(path: Path) -> PublicKey:
    """Read a public key file; raises NotFound or UsageError."""
    return PublicKey.parse(_read(path), str(path))


def load_private(path: Path, passphrase: bytes | None = None) -> PrivateKey:
    """Read an Ed25519 private key, PKCS#8 PEM or OpenSSH.

    Raises NotFound, or UsageError when it is no such key, or the passphrase is wrong or missing.
    """
    data = _read(path)
    openssh = data.lstrip().startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    load = form.load_ssh_private_key if openssh else form.load_pem_private_key
    try:
        key = load(data, passphrase or None)
    except TypeError:  # a passphrase is missing, or there is nothing to unlock
        state = "not locked" if passphrase else "locked"
        wanted = "give no passphrase" if passphrase else "give its passphrase"
        raise UsageError(f"the key is {state}: {path}", hint=wanted) from None
    except (ValueError, UnsupportedAlgorithm):
        wanted = "is the passphrase right?" if passphrase else f"sign with {_KEY_FORMS}"
        raise UsageError(f"cannot read a private key: {path}", hint=wanted) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"unsupported key type: {path}", hint=f"sign with {_KEY_FORMS}")
    return PrivateKey(key)


def generate(path: Path, passphrase: bytes | None = None) -> PublicKey:
    """Make a key pair: PKCS#8 PEM at `path` (mode 0600) and SPKI PEM at `path`.pub.

    An existing file is never overwritten: UsageError.
    """
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, _lock(passphrase))
    public = PrivateKey(key).public
    _write_pair(path, secret, public.pem)
    return public


def generate_openssh(path: Path) -> PublicKey:
    """Make the key pair that Ollama's registry identifies a user by.

    OpenSSH format: the private key at `path` (mode 0600), an `ssh-ed25519` line at `path`.pub.
    An existing file is never overwritten: UsageError.
    """
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, _lock(None))
    line = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    _write_pair(path, secret, line + b"\n")
    return PrivateKey(key).public


_SPKI = form.PublicFormat.SubjectPublicKeyInfo


def _is_supported(key: object) -> bool:
    if isinstance(key, EllipticCurvePublicKey):
        return isinstance(key.curve, SECP256R1)
    return isinstance(key, Ed25519PublicKey)


def _lock(passphrase: bytes | None) -> form.KeySerializationEncryption:
    return form.BestAvailableEncryption(passphrase) if passphrase else form.NoEncryption()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_SIZE + 1)
    except FileNotFoundError:
        raise NotFound(f"no key at {path}", hint="make one with `modelkit keygen`") from None
    except OSError as error:
        raise UsageError(f"cannot read the key {path}: {error.strerror}") from error
    if len(data) > MAX_KEY_SIZE:
        raise UsageError(f"not a key: {path} is over {MAX_KEY_SIZE} bytes")
    return data


def _write_pair(path: Path, secret: bytes, public: bytes) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write the key {path}: {error.strerror}") from error
    try:
        _create(path, secret, 0o600)
        try:
            _create(path.with_name(path.name + ".pub"), public, 0o644)
        except OSError:
            path.unlink()
            raise
    except FileExistsError as error:
        raise UsageError(
            f"{error.filename} already exists",
            hint="choose another name; keys are never overwritten",
        ) from None
    except OSError as error:
        raise UsageError(f"cannot write the key {path}: {error.strerror}") from error


def _create(path: Path, data: bytes, mode: int) -> None:
    """Write a new file with these permissions from its first moment, or leave none."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink()
        raise
