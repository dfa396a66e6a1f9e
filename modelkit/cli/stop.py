"""modelkit stop"""

import click

from modelkit.cli.backend import server
from modelkit.errors import NotFound


@click.command("stop")
@click.argument("name")
@click.pass_context
def stop_(ctx: click.Context, name: str) -> None:
    """Unload the model NAME from the server.

    \b
    Example: modelkit stop llama
    """
    try:
        server(ctx).call("POST", "/api/generate", {"model": name, "keep_alive": 0})
    except NotFound:
        raise NotFound(f"couldn't find model {name!r} to stop", hint="see `modelkit ps`") from None
