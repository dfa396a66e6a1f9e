"""modelkit verify"""

from pathlib import Path

import click

from modelkit.cli.console import json_option, print_json, progress
from modelkit.errors import StoreError
from modelkit.names import ModelName
from modelkit.store import Store


@click.command("verify")
@click.argument("name")
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A public key that must have signed; without it the trust policy decides.",
)
@json_option
def verify_(name: str, keys: tuple[Path, ...], as_json: bool) -> None:
    """Check the model NAME in the local store: every blob's bytes, then its signatures.

    Exit code 0: whole, and signed by one of the keys (or accepted by the policy). 1: damaged, or
    no signature holds. 4: refused by the policy.

    \b
    Example: modelkit verify --key ci.key.pub registry.example/team/llama:v1
    """
    store = Store.default()
    model = store.resolve(ModelName.parse(name))
    manifest = store.manifest(model)
    with progress() as report:
        problems = store.check(model, report)
    if problems:
        raise StoreError(f"{model} is damaged: {problems[0]}", hint=f"pull or build {model} again")
    signers = _check_signatures(model, manifest.raw, store, keys)
    if as_json:
        print_json({"name": model.full, "digest": str(manifest.digest), "signers": signers})
        return
    said = f"signed by {', '.join(signers)}" if signers else "accepted by the policy, no signature"
    click.echo(f"{model} ({manifest.digest}): whole, {said}")


def _check_signatures(
    name: ModelName, raw: bytes, store: Store, paths: tuple[Path, ...]
) -> list[str]:
    from modelkit.registry.trust.keys import load_public
    from modelkit.registry.trust.policy import Policy
    from modelkit.registry.trust.signing import StoreSignatures, verify

    source = StoreSignatures(store, name)
    if not paths:
        verdict = Policy.default().check(name, raw, source)
        return sorted({signature.key.fingerprint for signature in verdict.signatures})
    result = verify(name, raw, source, [load_public(path) for path in paths])
    result.require()
    return sorted({signature.key.fingerprint for signature in result.signatures})
