"""modelkit registry"""

from pathlib import Path

import click

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
    help="Users and bcrypt hashes, as `htpasswd -B` writes them; without it everybody may write.",
)
def serve_(root: Path | None, host: str, port: int, htpasswd: Path | None) -> None:
    """Serve the models in a folder over the OCI distribution API.

    A model `library/llama:v1` in the store is HOST:PORT/library/llama:v1 to every client:
    modelkit, skopeo, oras, docker's tools. What clients push lands in the same store.

    \b
    Example: modelkit registry serve --port 5000
             modelkit cp llama 127.0.0.1:5000/library/llama
             modelkit push 127.0.0.1:5000/library/llama
    """
    from modelkit.registry.server import create_app, load_htpasswd
    from modelkit.registry.server.serve import serve

    users = None if htpasswd is None else load_htpasswd(htpasswd)
    serve(create_app(Store(root) if root else Store.default(), users=users), host, port)
