"""modelkit registry"""

from pathlib import Path

import click

from modelkit.address import Address
from modelkit.cli.console import say
from modelkit.store import Store


@click.group("registry")
def registry_() -> None:
    """The embedded OCI registry."""


@registry_.command("serve")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder with the models; the local store by default.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=5000, show_default=True, help="0 takes a free one.")
@click.option(
    "--htpasswd",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Accounts, as `htpasswd -B` writes them; without it everybody may push and pull.",
)
@click.option("--anonymous-pull", is_flag=True, help="Accounts are needed to push only.")
@click.option("--bearer", is_flag=True, help="Hand out short-lived tokens instead of using Basic.")
def serve_(
    root: Path | None,
    host: str,
    port: int,
    htpasswd: Path | None,
    anonymous_pull: bool,
    bearer: bool,
) -> None:
    """Serve the models in a folder over the OCI distribution API.

    A model `library/llama:v1` in the store is HOST:PORT/library/llama:v1 to every client:
    modelkit, skopeo, oras, docker's tools. What clients push lands in the same store.

    \b
    Example: modelkit registry serve --port 5000
             modelkit cp llama 127.0.0.1:5000/library/llama
             modelkit push 127.0.0.1:5000/library/llama
    """
    from modelkit.asgi import hosting
    from modelkit.registry.server import create_app

    app = create_app(
        Store(root) if root else Store.default(),
        htpasswd=htpasswd,
        anonymous_pull=anonymous_pull,
        bearer=bearer,
    )
    if htpasswd is None and host not in ("127.0.0.1", "::1", "localhost"):
        say(f"warning: whoever reaches {host} may push; --htpasswd asks for accounts")
    with hosting.listen(Address("http", host, port)) as listener:
        hosting.run(app, listener)
