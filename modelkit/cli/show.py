"""modelkit show"""

from collections.abc import Callable, Iterable
from typing import Any

import click

from modelkit.cli.backend import backend
from modelkit.cli.console import json_option, print_json
from modelkit.cli.format import shown_value
from modelkit.cli.memory import memory_of, memory_rows
from modelkit.errors import UsageError
from modelkit.names import ModelName

PARTS = ("license", "modelfile", "parameters", "template", "system")


def _part_options(command: Callable[..., None]) -> Callable[..., None]:
    for part in reversed(PARTS):
        command = click.option(f"--{part}", is_flag=True, help=f"Print only the {part}.")(command)
    return command


@click.command("show")
@click.argument("name")
@_part_options
@click.option("--memory", is_flag=True, help="How much memory the model takes when loaded.")
@click.option("--num-ctx", type=click.IntRange(1), help="With --memory: tokens of context.")
@click.option("--parallel", type=click.IntRange(1), help="With --memory: requests at a time.")
@click.option("--verbose", is_flag=True, help="All metadata and tensors.")
@json_option
@click.pass_context
def show_(
    ctx: click.Context,
    /,
    name: str,
    memory: bool,
    num_ctx: int | None,
    parallel: int | None,
    verbose: bool,
    as_json: bool,
    **parts: bool,
) -> None:
    """Show what the model NAME is made of.

    \b
    Example: modelkit show llama
             modelkit show --modelfile llama > Modelfile
             modelkit show --memory --num-ctx 32768 llama
    """
    chosen = [part for part in PARTS if parts[part]]
    if len(chosen) > 1:
        options = "', '--".join(PARTS)
        raise UsageError(f"only one of '--{options}' can be specified")
    if memory:
        taken = memory_of(ctx, ModelName.parse(name), num_ctx, parallel)
        if as_json:
            print_json(taken)
        else:
            click.echo(_section("Memory", memory_rows(taken)), nl=False)
        return
    described = backend(ctx).show(ModelName.parse(name), verbose=verbose)
    if as_json:
        print_json(described)
    elif chosen:
        click.echo(described.get(chosen[0], ""), nl=chosen[0] not in ("system", "template"))
    else:
        click.echo(_sections(described, verbose), nl=False)


def _sections(described: dict[str, Any], verbose: bool) -> str:
    info, details = described["model_info"], described["details"]
    architecture = info.get("general.architecture", details["family"])
    sections = [
        _section(
            "Model",
            [
                ("Remote model", described.get("remote_model") or None),
                ("Remote URL", described.get("remote_host") or None),
                ("architecture", architecture or None),
                ("parameters", details["parameter_size"] or None),
                ("context length", info.get(f"{architecture}.context_length")),
                ("embedding length", info.get(f"{architecture}.embedding_length")),
                ("quantization", details["quantization_level"] or None),
                ("requires", described.get("requires")),
            ],
        ),
        _section("Capabilities", [(item, "") for item in described.get("capabilities", [])]),
        _section("Parameters", _parameter_rows(described.get("parameters", ""))),
    ]
    if verbose:
        sections.append(
            _section("Metadata", [(key, shown_value(info[key])) for key in sorted(info)])
        )
        sections.append(_section("Tensors", _tensor_rows(described.get("tensors", []))))
    sections.append(_section("System", _first_lines(described.get("system", ""))))
    sections.append(_section("License", _first_lines(described.get("license", ""))))
    return "".join(sections)


def _section(title: str, rows: Iterable[tuple[str, Any]]) -> str:
    shown = [(key, str(value)) for key, value in rows if value is not None]
    if not shown:
        return ""
    width = max(len(key) for key, _ in shown)
    lines = [f"    {key.ljust(width)}    {value}".rstrip() for key, value in shown]
    return f"  {title}\n" + "\n".join(lines) + "\n\n"


def _parameter_rows(text: str) -> list[tuple[str, str]]:
    return [
        (key, value.strip())
        for key, _, value in (line.partition(" ") for line in text.splitlines())
    ]


def _tensor_rows(tensors: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["name"], f"{item['type']:<8}{item['shape']}") for item in tensors]


def _first_lines(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.strip()]
    return [(line, "") for line in lines[:2] + ["..."] * (len(lines) > 2)]
