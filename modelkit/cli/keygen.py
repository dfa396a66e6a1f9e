"""modelkit keygen"""

from pathlib import Path

import click

from modelkit.cli.console import json_option, print_json
from modelkit.cli.keys import ask_new_passphrase, default_key


@click.command("keygen")
@click.argument("path", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--passphrase", is_flag=True, help="Ask for a passphrase that locks the key.")
@json_option
def keygen_(path: Path | None, passphrase: bool, as_json: bool) -> None:
    """Make an Ed25519 key pair: the private key at PATH, the public key at PATH.pub.

    PATH is ~/.modelkit/signing.key by default, where `sign` looks. Both files are PEM, so that
    openssl and cosign read them. An existing key is never overwritten.

    \b
    Example: modelkit keygen
             modelkit keygen ci.key --passphrase
    """
    from modelkit.registry.trust.keys import generate

    path = path or default_key()
    key = generate(path, ask_new_passphrase() if passphrase else None)
    public = f"{path}.pub"
    if as_json:
        print_json({"private": str(path), "public": public, "fingerprint": key.fingerprint})
        return
    click.echo(f"private key: {path}\npublic key:  {public}\nfingerprint: {key.fingerprint}")
