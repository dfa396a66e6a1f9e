"""modelkit rm"""

import click

from modelkit.cli.backend import backend
from modelkit.names import ModelName


@click.command("rm")
@click.argument("names", nargs=-1, required=True)
@click.pass_context
def rm_(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Remove models, and the blobs that no other model uses.

    \b
    Example: modelkit rm llama:v1 llama:v2
    """
    parsed = [ModelName.parse(name) for name in names]
    for name in parsed:
        backend(ctx).delete(name)
        click.echo(f"deleted '{name}'")
