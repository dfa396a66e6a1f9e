"""modelkit key"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from modelkit.cli.console import json_option, print_json, say
from modelkit.cli.format import table

if TYPE_CHECKING:
    from modelkit.serve.keys import KeyFile

_SCOPES = ("infer", "read", "admin")


@click.group("key")
def key_() -> None:
    """API keys: who may use the server, and for what.

    The file with their hashes is api-keys.json beside the store, or MODELKIT_API_KEYS. A running
    server sees changes at once.
    """


@key_.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(_SCOPES),
    help="What the key is for; may be given more than once. Default: infer and read.",
)
@json_option
def create_(name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make a key and print it: it is shown this once.

    infer asks models; read lists and shows them; admin does everything, pull, push, create and
    delete included.

    \b
    Example: modelkit key create laptop
             modelkit key create ci --scope admin
    """
    chosen = tuple(scope for scope in _SCOPES if scope in (scopes or ("infer", "read")))
    key = _file().create(name, chosen)  # type: ignore[arg-type]  # click has checked them
    if as_json:
        print_json({"name": name, "scopes": chosen, "key": key})
        return
    click.echo(key)
    say(f"clients send it as `Authorization: Bearer …`; modelkit: MODELKIT_API_KEY={key}")


@key_.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the keys; the keys themselves are not kept.

    \b
    Example: modelkit key list
    """
    keys = _file().all()
    if as_json:
        fields = [{"name": k.name, "scopes": k.scopes, "created": k.created} for k in keys]
        print_json(fields)
        return
    rows = [(key.name, ", ".join(key.scopes), key.created) for key in keys]
    click.echo(table(("NAME", "SCOPES", "CREATED"), rows))


@key_.command("revoke")
@click.argument("name")
def revoke_(name: str) -> None:
    """End a key: from now on the server refuses it.

    \b
    Example: modelkit key revoke laptop
    """
    _file().revoke(name)


def _file() -> KeyFile:
    from modelkit.serve.keys import KeyFile
    from modelkit.store import Store

    return KeyFile.of(Store.default())
