"""modelkit ps"""

import time
from datetime import datetime
from typing import Any

import click

from modelkit.cli.backend import server
from modelkit.cli.console import json_option, print_json
from modelkit.cli.format import human_age, human_bytes, table

FOREVER = 20 * 365 * 86400


@click.command("ps")
@json_option
@click.pass_context
def ps_(ctx: click.Context, as_json: bool) -> None:
    """List the models that the server has loaded, and why runners died lately.

    \b
    Example: modelkit ps
    """
    answer = server(ctx).call("GET", "/api/ps")
    loaded, failures = answer["models"], answer.get("failures", [])
    if as_json:
        print_json([*loaded, *failures])
        return
    header = ("NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL")
    click.echo(table(header, [_row(item) for item in loaded]))
    for failure in failures:
        age = human_age(time.time() - datetime.fromisoformat(failure["died_at"]).timestamp())
        click.echo(f"{failure['name']}: its runner died {age} ago: {failure['error']}", err=True)


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    return (
        item["name"],
        item["digest"][:12],
        human_bytes(item["size"]),
        _processor(item["size"], item["size_vram"]),
        str(item.get("context_length", "")),
        _until(datetime.fromisoformat(item["expires_at"]).timestamp() - time.time()),
    )


def _processor(size: int, on_gpu: int) -> str:
    if on_gpu == 0:
        return "100% CPU"
    if on_gpu == size:
        return "100% GPU"
    if on_gpu > size or size == 0:
        return "Unknown"
    cpu = round(100 * (size - on_gpu) / size)
    return f"{cpu}%/{100 - cpu}% CPU/GPU"


def _until(seconds: float) -> str:
    if seconds < 0:
        return "Stopping..."
    return "Forever" if seconds > FOREVER else f"{human_age(seconds)} from now"
