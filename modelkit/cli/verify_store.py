"""modelkit verify-store"""

import click

from modelkit.cli.console import json_option, print_json, progress
from modelkit.errors import StoreError
from modelkit.store import Store


@click.command("verify-store")
@json_option
def verify_store_(as_json: bool) -> None:
    """Read and hash every blob of every model in the local store.

    Exit code 1 when a model is damaged; the damaged models are named.

    \b
    Example: modelkit verify-store
    """
    store = Store.default()
    with progress() as report:
        found = {name.short: store.check(name, report) for name in store.names()}
    damaged = {name: problems for name, problems in found.items() if problems}
    if as_json:
        print_json({"models": len(found), "damaged": damaged})
    else:
        for name, problems in damaged.items():
            click.echo(f"{name}: {'; '.join(problems)}")
    if damaged:
        raise StoreError(
            f"{len(damaged)} of {len(found)} models are damaged: {', '.join(damaged)}",
            hint="pull or build them again",
        )
    if not as_json:
        click.echo(f"{len(found)} models are whole")
