"""modelkit build, and create, which is the same in Ollama's spelling"""

import sys
from dataclasses import replace
from pathlib import Path

import click

from modelkit.cli.backend import backend, names_server
from modelkit.cli.console import progress, say
from modelkit.cli.keys import load_key
from modelkit.errors import NotFound, UsageError
from modelkit.names import ModelName
from modelkit.store import Store

_STDIN = Path("-")
file_option = click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path),
    default="Modelfile",
    show_default=True,
    help="The Modelfile; - reads it from standard input.",
)
quantize_option = click.option(
    "-q", "--quantize", metavar="TYPE", help="Quantize the weights: q4_k_m, q8_0, f16 …"
)


@click.command("build")
@file_option
@click.option("-t", "--tag", "name", required=True, metavar="NAME", help="The model's name.")
@quantize_option
@click.option("--sign", "signed", is_flag=True, help="Sign the model with the default key.")
@click.option("--push", "pushed", is_flag=True, help="Then send it to the registry in its name.")
@click.pass_context
def build_(
    ctx: click.Context, file: Path, name: str, quantize: str | None, signed: bool, pushed: bool
) -> None:
    """Compile a Modelfile into the store: import, quantize, layers, manifest.

    FROM takes a Hugging Face folder, a GGUF file or the name of a model; paths are relative to
    the Modelfile, or to the current folder when it comes from standard input (-f -). The same input
    gives the same digest on every machine.

    \b
    Example: modelkit build -f Modelfile -t registry.example/team/llama:v1 -q q4_k_m --sign --push
             echo FROM ./model | modelkit build -f - -t llama
    """
    model = ModelName.parse(name)
    if signed and names_server(ctx):
        raise UsageError(
            "--sign works on the local store", hint="leave out --host, MODELKIT_HOST, OLLAMA_HOST"
        )
    key = load_key(None) if signed else None  # a missing key is better known before the work
    _compile(ctx, file, model, quantize)
    if key:
        from modelkit.registry.trust.signing import sign

        sign(model, Store.default(), key)
        say(f"signed {model}")
    if pushed:
        with progress() as report:
            backend(ctx).push(model, report, insecure=False)


@click.command("create")
@click.argument("name")
@file_option
@quantize_option
@click.pass_context
def create_(ctx: click.Context, name: str, file: Path, quantize: str | None) -> None:
    """Compile a Modelfile into the model NAME; the same as build -t NAME.

    \b
    Example: modelkit create llama -f Modelfile -q q4_k_m
    """
    _compile(ctx, file, ModelName.parse(name), quantize)


def _compile(ctx: click.Context, file: Path, name: ModelName, quantize: str | None) -> None:
    from modelkit.compiler.recipe import Recipe
    from modelkit.modelfile import Modelfile

    filename = "standard input" if file == _STDIN else str(file)
    modelfile = Modelfile.parse(_read(file), filename=filename)
    recipe = Recipe.from_modelfile(modelfile, file.parent)
    for warning in recipe.warnings:
        say(f"warning: {warning}")
    with progress() as report:
        backend(ctx).create(replace(recipe, quantize=quantize), name, report)


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == _STDIN else file.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"no Modelfile at {file}", hint="name another with -f") from None
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
