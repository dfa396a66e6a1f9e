"""modelkit pull"""

import click

from modelkit.cli.backend import backend
from modelkit.cli.console import progress
from modelkit.names import ModelName


@click.command("pull")
@click.argument("name")
@click.option("--insecure", is_flag=True, help="Speak plain HTTP with the registry.")
@click.pass_context
def pull_(ctx: click.Context, name: str, insecure: bool) -> None:
    """Get the model NAME from its registry.

    The trust policy ($MODELKIT_POLICY, ~/.modelkit/policy.json) decides first: a model that it
    refuses is not fetched, and the exit code is 4. An interrupted pull goes on where it stopped.

    \b
    Example: modelkit pull registry.example/team/llama:v1
    """
    with progress() as report:
        backend(ctx).pull(ModelName.parse(name), report, insecure=insecure)
