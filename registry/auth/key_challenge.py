"""Ollama's registry knows its users by an Ed25519 key: prove that we hold it."""

import base64
import struct
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from modelkit.digest import Digest
from modelkit.errors import AuthError, ModelkitError
from modelkit.registry.trust.keys import load_private
from modelkit.settings import home_dir

_EMPTY_BODY_HASH = base64.b64encode(Digest.of(b"").hex.encode()).decode()


def key_paths() -> tuple[Path, ...]:
    """Where the key that Ollama's registry knows us by may lie, best first."""
    return home_dir() / "id_ed25519", Path.home() / ".ollama" / "id_ed25519"


def sign_request(url: str, keys: Iterable[Path]) -> str:
    """The Authorization that proves to Ollama's token server who asks for `url`.

    Public key (SSH wire form) and Ed25519 signature, both base64. Raises AuthError without a key.
    """
    path = next((path for path in keys if path.is_file()), None)
    if path is None:
        raise AuthError(
            f"unauthorized: {urlsplit(url).netloc} wants a key and there is none",
            hint="start `modelkit serve` once, then add the new key to your account",
        )
    try:
        key = load_private(path)
    except ModelkitError as error:
        raise AuthError(error.message, hint=error.hint) from error
    public = _wire(b"ssh-ed25519") + _wire(key.public.der[-32:])
    signature = key.sign(f"GET,{url},{_EMPTY_BODY_HASH}".encode())
    return f"{base64.b64encode(public).decode()}:{base64.b64encode(signature).decode()}"


def _wire(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
