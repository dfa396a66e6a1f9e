"""modelkit lint"""

import json
from collections.abc import Callable
from typing import Any

import click

from modelkit.cli.console import say
from modelkit.cli.modelfiles import STDIN, ModelfileOnDisk, read_modelfiles
from modelkit.errors import ModelfileError
from modelkit.lint import Config, Diagnostic, fix, lint
from modelkit.lint.engine import undecodable
from modelkit.lint.report import json_report, text_report
from modelkit.lint.sarif import sarif_report

_Codes = tuple[str, ...]


def _split(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> _Codes:
    words = (word.strip() for value in values for word in value.split(","))
    return tuple(word for word in words if word)


def _codes_option(flag: str, text: str) -> Callable[[Any], Any]:
    return click.option(flag, multiple=True, metavar="CODES", callback=_split, help=text)


@click.command("lint")
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@_codes_option("--select", "Run only these rules: MK003, MK1 (all that begin so), MK.")
@_codes_option("--ignore", "Leave these rules out.")
@click.option("--fix", "fixing", is_flag=True, help="Mend what can be mended safely.")
@click.option("--locked", is_flag=True, help="Report every FROM that may change its meaning.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    show_default=True,
    help="How to print the findings.",
)
def lint_(
    files: _Codes, select: _Codes, ignore: _Codes, fixing: bool, locked: bool, style: str
) -> int:
    """Find mistakes in Modelfiles, and mend the simple ones.

    A folder stands for the Modelfiles in and below it; `-` reads standard input. Settings come
    from the nearest modelkit.toml ([lint]) or pyproject.toml ([tool.modelkit.lint]). A comment
    `# modelkit: ignore[MK003]` above an instruction silences a rule there. Exit codes: 0 clean,
    1 findings, 2 wrong usage.

    \b
    Example: modelkit lint Modelfile
             modelkit lint --fix --ignore MK305 models/
             modelkit lint --format sarif . > lint.sarif
    """
    found: list[Diagnostic] = []
    sources: dict[str, str] = {}
    for file in read_modelfiles(files):
        config = Config.find(file.folder).overridden(select, ignore, locked=locked)
        sources[file.name], diagnostics = _check(file, config, fixing)
        found += diagnostics
    # The mended text of standard input has standard output for itself.
    _print(found, sources, style, err=fixing and STDIN in files)
    return int(bool(found))


def _check(file: ModelfileOnDisk, config: Config, fixing: bool) -> tuple[str, list[Diagnostic]]:
    """The text of a file after its fixes, and what there is to say about it."""
    try:
        text = file.text()
    except ModelfileError as error:
        return "\n" * (error.line - 1) + error.source_line, [undecodable(error)]
    if not fixing:
        return text, lint(text, file.name, config=config, folder=file.folder)
    fixed = fix(text, file.name, config=config, folder=file.folder)
    if fixed.count or file.is_stdin:
        file.write(fixed.text)
    if fixed.count:
        say(f"{file.name}: {_count(fixed.count, 'fix', 'fixes')}")
    return fixed.text, fixed.remaining


def _print(found: list[Diagnostic], sources: dict[str, str], style: str, *, err: bool) -> None:
    match style:
        case "json":
            click.echo(json.dumps(json_report(found), ensure_ascii=False, indent=2), err=err)
        case "sarif":
            report = sarif_report(found, sources)
            click.echo(json.dumps(report, ensure_ascii=False, indent=2), err=err)
        case _:
            if found:
                click.echo(text_report(found, sources), err=err)
            _summarize(found, len(sources))


def _summarize(found: list[Diagnostic], files: int) -> None:
    where = _count(files, "file", "files")
    mendable = sum(item.fix is not None for item in found)
    if not found:
        say(f"no findings in {where}")
        return
    advice = f"; {mendable} can be mended with --fix ([*])" if mendable else ""
    say(f"{_count(len(found), 'finding', 'findings')} in {where}{advice}")


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
