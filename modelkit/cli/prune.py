"""modelkit prune"""

import click

from modelkit.store import Store


@click.command("prune")
@click.option("--now", is_flag=True, help="Also what is younger than an hour.")
def prune_(now: bool) -> None:
    """Remove blobs that no model uses and the leftovers of interrupted work.

    Garbage younger than an hour is kept, because an upload may be about to use it; nothing is
    removed while another process is writing.

    \b
    Example: modelkit prune --now
    """
    removed = Store.default().prune(min_age=0.0 if now else 3600.0)
    click.echo(f"removed {len(removed)} blob{'' if len(removed) == 1 else 's'}")
