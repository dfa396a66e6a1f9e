"""modelkit parse"""

import json
from typing import Any

import click

from modelkit.cli.modelfiles import ModelfileOnDisk, read_modelfiles
from modelkit.errors import ModelfileError
from modelkit.modelfile import Modelfile


@click.command("parse")
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
def parse_(files: tuple[str, ...]) -> int:
    """Print the commands of Modelfiles, one JSON object a line; `-` is standard input.

    A file that does not parse gives an object with `error`: line, column and message; the exit
    code is then 1. FROM is called `model`, a parameter goes by its own name, and the value of a
    message is `role: text`.

    \b
    Example: modelkit parse Modelfile
             modelkit parse Modelfile | jq -r '.commands[] | select(.[0] == "model") | .[1]'
    """
    failed = False
    for file in read_modelfiles(files):
        parsed = _parse(file)
        click.echo(json.dumps({"file": file.name, **parsed}, ensure_ascii=False))
        failed = failed or "error" in parsed
    return int(failed)


def _parse(file: ModelfileOnDisk) -> dict[str, Any]:
    try:
        modelfile = Modelfile.parse(file.data, file.name)
    except ModelfileError as error:
        place = {"line": error.line, "column": error.column}
        return {"error": {**place, "message": error.message}}
    return {"commands": [[command.name, command.value] for command in modelfile.commands]}
