"""modelkit run"""

import json
import os
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import click

from modelkit.cli.answer import AnswerPrinter
from modelkit.cli.backend import Remote, server
from modelkit.cli.chat import chat, print_metrics
from modelkit.cli.console import progress
from modelkit.cli.engine import own_server
from modelkit.cli.server import Server
from modelkit.durations import keep_alive_seconds
from modelkit.errors import NotFound, UsageError
from modelkit.names import ModelName

LEVELS = ("true", "false", "high", "medium", "low", "max")


class _Run(click.Command):
    """`--think` alone is a flag: its level, if there is one, comes after `=`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        words = ["--think=true" if word == "--think" else word for word in args[:end]]
        return super().parse_args(ctx, [*words, *args[end:]])


@click.command("run", cls=_Run)
@click.argument("name")
@click.argument("prompt", nargs=-1)
@click.option(
    "--keepalive", metavar="DURATION", help="How long the model stays loaded: 5m, 0, -1s."
)
@click.option("--think", metavar="[=LEVEL]", help=f"Whether to think: {', '.join(LEVELS)}.")
@click.option("--hidethinking", is_flag=True, help="Do not show the thoughts.")
@click.option("--verbose", is_flag=True, help="Then print counts and speeds.")
@click.option("--insecure", is_flag=True, help="Speak plain HTTP if the model must be pulled.")
@click.pass_context
def run_(
    ctx: click.Context,
    name: str,
    prompt: tuple[str, ...],
    keepalive: str | None,
    think: str | None,
    hidethinking: bool,
    verbose: bool,
    insecure: bool,
) -> None:
    """Ask the model NAME, or chat with it when there is no PROMPT.

    Standard input, if it is not a terminal, goes before the prompt. A server that answers at the
    address is used; otherwise an engine runs for the length of this command. A model that is not
    there is pulled first. An embedding model prints its vector as JSON. Thoughts go to standard
    error.

    \b
    Example: modelkit run llama "Why is the sky blue?"
             cat notes.txt | modelkit run llama "Summarize:"
    """
    ModelName.parse(name)
    options = {"model": name} | _fields(keepalive, think)
    asked = _Question(options, _prompt(prompt), hidethinking, verbose, insecure)
    found = server(ctx)
    if found.answers():
        _answer(found, asked)
        return
    if ctx.obj["host"]:
        found.call("GET", "/api/version")  # raises: the user named a server that does not answer
    with own_server() as started:
        _answer(started, asked)


@dataclass(frozen=True)
class _Question:
    """What is asked: the fields of every request, the prompt, and what is shown of the answer."""

    options: dict[str, Any]
    prompt: str | None
    hidden: bool
    verbose: bool
    insecure: bool


def _fields(keepalive: str | None, think: str | None) -> dict[str, Any]:
    """The options as requests have them; raises UsageError."""
    fields: dict[str, Any] = {}
    if keepalive is not None:
        keep_alive_seconds(keepalive)
        fields["keep_alive"] = keepalive
    if think is not None:
        if think not in LEVELS:
            levels = f"{', '.join(LEVELS[:-1])}, or {LEVELS[-1]}"
            raise UsageError(f'invalid value for --think: "{think}" (must be {levels})')
        fields["think"] = {"true": True, "false": False}.get(think, think)
    return fields


def _prompt(words: tuple[str, ...]) -> str | None:
    """What to ask; None when there is a terminal to chat on instead."""
    text = " ".join(filter(None, [_piped(), *words]))
    return text or ("" if words or not sys.stdin.isatty() else None)


def _piped() -> str:
    """Standard input, if it is a pipe or a file: anything else might never end."""
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode)):
        return ""
    return sys.stdin.read()


def _answer(target: Server, asked: _Question) -> None:
    options, prompt = asked.options, asked.prompt
    capabilities = _ensure(target, options["model"], asked.insecure)
    if "embedding" in capabilities:
        _embed(target, options, prompt)
    elif prompt is None:
        chat(target, options, hidden=asked.hidden, verbose=asked.verbose)
    else:
        pieces = target.stream("/api/generate", {**options, "prompt": prompt})
        last = _print_pieces(pieces, hidden=asked.hidden)
        if asked.verbose:
            print_metrics(last)


def _ensure(target: Server, name: str, insecure: bool) -> list[str]:
    try:
        described = target.call("POST", "/api/show", {"model": name})
    except NotFound:
        with progress() as report:
            Remote(target).pull(ModelName.parse(name), report, insecure=insecure)
        described = target.call("POST", "/api/show", {"model": name})
    capabilities: list[str] = described.get("capabilities", [])
    return capabilities


def _embed(target: Server, options: dict[str, Any], prompt: str | None) -> None:
    if not prompt:
        raise UsageError(
            "embedding models require input text", hint=f'modelkit run {options["model"]} "text"'
        )
    answer = target.call("POST", "/api/embed", {**options, "input": prompt})
    click.echo(json.dumps(answer["embeddings"][0]))


def _print_pieces(pieces: Iterable[dict[str, Any]], *, hidden: bool) -> dict[str, Any]:
    """Print an answer as it comes; returns the last piece."""
    last: dict[str, Any] = {}
    printer = AnswerPrinter(hidden=hidden)
    for last in pieces:
        printer.show(last.get("thinking", ""), last.get("response", ""))
    click.echo()
    return last
