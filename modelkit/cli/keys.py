"""Finding the key that a command signs with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelkit.settings import home_dir, setting

if TYPE_CHECKING:
    from modelkit.registry.trust.keys import PrivateKey


def default_key() -> Path:
    """Where `keygen` writes and `sign` looks: MODELKIT_KEY or ~/.modelkit/signing.key."""
    named = setting("KEY")
    return Path(named).expanduser() if named else home_dir() / "signing.key"


def ask_new_passphrase() -> bytes:
    """Ask twice on the terminal."""
    text: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return text.encode()


def load_key(path: Path | None) -> PrivateKey:
    """The private key at `path`, or the default one; MODELKIT_PASSPHRASE unlocks it."""
    from modelkit.registry.trust.keys import load_private

    passphrase = setting("PASSPHRASE")
    return load_private(path or default_key(), passphrase.encode() if passphrase else None)
