"""modelkit convert"""

from pathlib import Path

import click

from modelkit.cli.console import progress


@click.command("convert")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The GGUF file to write."
)
@click.option(
    "--outtype",
    type=click.Choice(["auto", "f32", "f16", "bf16"]),
    default="auto",
    show_default=True,
    help="The weights' type; auto keeps bf16 and makes everything else f16.",
)
def convert_(folder: Path, output: Path, outtype: str) -> None:
    """Convert the Hugging Face checkpoint in FOLDER to one GGUF file.

    \b
    Example: modelkit convert ./all-MiniLM-L6-v2 -o minilm.gguf --outtype f16
    """
    from modelkit.compiler.sources import expand_directory
    from modelkit.convert import convert
    from modelkit.files import replacing

    files = expand_directory(folder)
    with progress() as report, replacing(output) as out:
        convert(files, out, outtype, report)
