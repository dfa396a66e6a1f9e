"""modelkit quantize"""

from pathlib import Path

import click

from modelkit.cli.console import progress


@click.command("quantize")
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("type_", metavar="TYPE")
@click.option("--threads", type=int, default=0, help="How many; all cores by default.")
def quantize_(source: Path, target: Path, type_: str, threads: int) -> None:
    """Quantize the GGUF file SOURCE to TARGET as TYPE (q4_k_m, q8_0, f16 …).

    \b
    Example: modelkit quantize minilm-f16.gguf minilm-q8_0.gguf q8_0
    """
    from modelkit.quantize import quantize

    with progress() as report:
        quantize(source, target, type_, report=report, threads=threads)
