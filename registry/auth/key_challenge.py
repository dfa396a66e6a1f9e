"""Ollama's registry knows its users by an Ed25519 key: prove that we hold it."""

import base64
import struct
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from modelkit.digest import Digest
from modelkit.errors import AuthError, ModelkitError
from modelkit.registry.trust.keys import PrivateKey, load_private
from modelkit.settings import home_dir

_KIND = "ssh-ed25519"
_EMPTY_BODY_HASH = base64.b64encode(Digest.of(b"").hex.encode()).decode()


def key_paths() -> tuple[Path, ...]:
    """Where the key that Ollama's registry knows us by may lie, best first."""
    return home_dir() / "id_ed25519", Path.home() / ".ollama" / "id_ed25519"


def sign_request(url: str, keys: Iterable[Path]) -> str:
    """The Authorization that proves to Ollama's token server who asks for `url`.

    Raises AuthError without a key.
    """
    return sign_text(f"GET,{url},{_EMPTY_BODY_HASH}", urlsplit(url).netloc, keys)


def sign_text(text: str, asker: str, keys: Iterable[Path]) -> str:
    """Public key (SSH wire form) and Ed25519 signature of a text, both base64, `:` between.

    Raises AuthError, which names the `asker`, without a key.
    """
    key = _load(asker, keys)
    signature = key.sign(text.encode())
    return f"{base64.b64encode(_public(key)).decode()}:{base64.b64encode(signature).decode()}"


def public_line(asker: str, keys: Iterable[Path]) -> str:
    """The key as accounts name it: `ssh-ed25519` and the public key in base64; raises AuthError."""
    return f"{_KIND} {base64.b64encode(_public(_load(asker, keys))).decode()}"


def _load(asker: str, keys: Iterable[Path]) -> PrivateKey:
    path = next((path for path in keys if path.is_file()), None)
    if path is None:
        raise AuthError(
            f"unauthorized: {asker} wants a key and there is none",
            hint="start `modelkit serve` once, then add the new key to your account",
        )
    try:
        return load_private(path)
    except ModelkitError as error:
        raise AuthError(error.message, hint=error.hint) from error


def _public(key: PrivateKey) -> bytes:
    return _wire(_KIND.encode()) + _wire(key.public.der[-32:])


def _wire(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
