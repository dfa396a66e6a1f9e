"""modelkit inspect"""

from pathlib import Path

import click

from modelkit.cli.console import json_option, print_json
from modelkit.cli.format import human_bytes, shown_value, table
from modelkit.names import ModelName
from modelkit.store import Store


@click.command("inspect")
@click.argument("file_or_name")
@json_option
def inspect_(file_or_name: str, as_json: bool) -> None:
    """Show a GGUF file's metadata and tensors: a file on disk, or the weights of a stored model.

    Every length and offset in the header is checked against the file.

    \b
    Example: modelkit inspect minilm.gguf
             modelkit inspect --json llama
    """
    from modelkit.gguf import read_header

    header = read_header(_weights(file_or_name))
    tensors = [
        {"name": item.name, "type": item.type, "shape": list(item.shape), "bytes": item.nbytes}
        for item in header.tensors
    ]
    if as_json:
        print_json({"version": header.version, "metadata": header.metadata, "tensors": tensors})
        return
    click.echo(f"GGUF version {header.version}, {header.parameter_count} parameters\n")
    click.echo(table(("KEY", "VALUE"), [(k, shown_value(v)) for k, v in header.metadata.items()]))
    rows = [
        (item.name, item.type, str(list(item.shape)), human_bytes(item.nbytes))
        for item in header.tensors
    ]
    click.echo("\n" + table(("TENSOR", "TYPE", "SHAPE", "SIZE"), rows))


def _weights(file_or_name: str) -> Path:
    path = Path(file_or_name)
    if path.is_file():
        return path
    from modelkit.model import Model

    return Model.open(Store.default(), ModelName.parse(file_or_name)).gguf_path
