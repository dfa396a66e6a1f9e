"""modelkit cp"""

import click

from modelkit.cli.backend import backend
from modelkit.names import ModelName


@click.command("cp")
@click.argument("source")
@click.argument("target")
@click.pass_context
def cp_(ctx: click.Context, source: str, target: str) -> None:
    """Give the model SOURCE a second name, TARGET. No bytes are copied.

    \b
    Example: modelkit cp llama registry.example/team/llama:v1
    """
    backend(ctx).copy(ModelName.parse(source), ModelName.parse(target))
    click.echo(f"copied '{source}' to '{target}'")
