"""modelkit list"""

import time
from dataclasses import asdict

import click

from modelkit.cli.backend import backend
from modelkit.cli.console import json_option, print_json
from modelkit.cli.format import human_age, human_bytes, table


@click.command("list")
@click.argument("prefix", required=False, default="")
@json_option
@click.pass_context
def list_(ctx: click.Context, prefix: str, as_json: bool) -> None:
    """List models, newest first; only those whose name begins with PREFIX, if given.

    \b
    Example: modelkit list
             modelkit list --json llama
    """
    models = [
        model for model in backend(ctx).models() if model.name.lower().startswith(prefix.lower())
    ]
    if as_json:
        print_json([asdict(model) for model in models])
        return
    now = time.time()
    rows = [
        (
            model.name,
            model.digest[:12],
            "-" if model.remote_host else human_bytes(model.size),
            f"{human_age(now - model.modified_at)} ago",
        )
        for model in models
    ]
    click.echo(table(("NAME", "ID", "SIZE", "MODIFIED"), rows))
