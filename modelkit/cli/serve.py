"""modelkit serve"""

import click

from modelkit.address import Address


@click.command("serve")
@click.option("--listen", metavar="HOST[:PORT]", help="The address; port 0 takes a free one.")
@click.pass_context
def serve_(ctx: click.Context, listen: str | None) -> None:
    """Answer Ollama's HTTP API from the local store.

    Listens on --listen, --host, MODELKIT_HOST or OLLAMA_HOST, else on 127.0.0.1:11434. Each model
    runs in a process of its own, so a crash in the engine never takes the server down. Ctrl-C
    ends the server and its models. On an address that others can reach, clients need an API key:
    see `modelkit key`.

    \b
    Example: modelkit serve
             modelkit serve --listen 0.0.0.0:8080
    """
    from modelkit.serve.server import run
    from modelkit.store import Store

    text = listen or ctx.obj["host"]
    run(Store.default(), Address.parse(text) if text else Address.default())
