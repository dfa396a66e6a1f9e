"""modelkit push"""

import click

from modelkit.cli.backend import backend
from modelkit.cli.console import progress
from modelkit.names import ModelName


@click.command("push")
@click.argument("name")
@click.option("--insecure", is_flag=True, help="Speak plain HTTP with the registry.")
@click.pass_context
def push_(ctx: click.Context, name: str, insecure: bool) -> None:
    """Send the model NAME, and its signatures, to the registry in its name.

    \b
    Example: modelkit cp llama registry.example/team/llama:v1
             modelkit push registry.example/team/llama:v1
    """
    with progress() as report:
        backend(ctx).push(ModelName.parse(name), report, insecure=insecure)
