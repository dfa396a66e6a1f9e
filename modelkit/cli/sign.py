"""modelkit sign"""

from pathlib import Path

import click

from modelkit.cli.console import json_option, print_json
from modelkit.cli.keys import load_key
from modelkit.names import ModelName
from modelkit.store import Store


@click.command("sign")
@click.argument("name")
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The private key; $MODELKIT_KEY or ~/.modelkit/signing.key by default.",
)
@json_option
def sign_(name: str, key: Path | None, as_json: bool) -> None:
    """Sign the model NAME in the local store; `push` takes the signature along.

    The signature names the model, tag included, and the digest of its manifest. It is written
    as cosign's `.sig` image and as a sigstore bundle, so cosign, skopeo and openssl can check it.
    MODELKIT_PASSPHRASE unlocks a locked key.

    \b
    Example: modelkit sign registry.example/team/llama:v1
    """
    from modelkit.registry.trust.signing import sign

    result = sign(ModelName.parse(name), Store.default(), load_key(key))
    fingerprints = sorted({signature.key.fingerprint for signature in result.signatures})
    if as_json:
        print_json({"name": result.name.full, "digest": str(result.digest), "keys": fingerprints})
        return
    click.echo(f"signed {result.name} ({result.digest})\nwith key {', '.join(fingerprints)}")
