"""modelkit fmt"""

from difflib import unified_diff

import click

from modelkit.cli.console import say
from modelkit.cli.modelfiles import ModelfileOnDisk, read_modelfiles
from modelkit.errors import ModelfileError
from modelkit.modelfile_format import format_modelfile


@click.command("fmt")
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if a file would change.")
@click.option("--diff", is_flag=True, help="Change nothing; print what would change.")
def fmt_(files: tuple[str, ...], check: bool, diff: bool) -> int:
    """Rewrite Modelfiles in one style; what they mean and their comments stay.

    Keywords in capitals, no indentation, one space between words, quotes only where they are
    needed, no needless empty lines. A folder stands for the Modelfiles in and below it; `-` reads
    standard input and prints the result. Exit codes: 0 done, 1 a file would change (--check,
    --diff) or does not parse, 2 wrong usage.

    \b
    Example: modelkit fmt Modelfile
             modelkit fmt --check models/
    """
    changed = failed = False
    for file in read_modelfiles(files):
        try:
            text = file.text()
            formatted = format_modelfile(text, file.name)
        except ModelfileError as error:
            say(f"{error.filename}:{error.line}:{error.column}: {error.message}; {error.hint}")
            failed = True
            continue
        changed = changed or formatted != text
        if check or diff:
            _tell(file, text, formatted, diff)
        elif formatted != text or file.is_stdin:
            _write(file, formatted)
    return int(failed or (changed and (check or diff)))


def _write(file: ModelfileOnDisk, formatted: str) -> None:
    file.write(formatted)
    if not file.is_stdin:
        say(f"formatted {file.name}")


def _tell(file: ModelfileOnDisk, text: str, formatted: str, diff: bool) -> None:
    if formatted == text:
        return
    if not diff:
        say(f"would format {file.name}")
        return
    old, new = (side.splitlines(keepends=True) for side in (text, formatted))
    for line in unified_diff(old, new, file.name, file.name):
        click.echo(line.rstrip("\r\n"))
