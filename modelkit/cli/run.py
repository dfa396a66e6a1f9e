"""modelkit run"""

import json
import os
import stat
import sys
from collections.abc import Iterable
from typing import Any

import click

from modelkit.cli.backend import Remote, server
from modelkit.cli.chat import chat, print_metrics
from modelkit.cli.console import progress
from modelkit.cli.engine import own_server
from modelkit.cli.server import Server
from modelkit.errors import NotFound, UsageError
from modelkit.names import ModelName


@click.command("run")
@click.argument("name")
@click.argument("prompt", nargs=-1)
@click.option(
    "--keepalive", metavar="DURATION", help="How long the model stays loaded: 5m, 0, -1s."
)
@click.option("--verbose", is_flag=True, help="Then print counts and speeds.")
@click.option("--insecure", is_flag=True, help="Speak plain HTTP if the model must be pulled.")
@click.pass_context
def run_(
    ctx: click.Context,
    name: str,
    prompt: tuple[str, ...],
    keepalive: str | None,
    verbose: bool,
    insecure: bool,
) -> None:
    """Ask the model NAME, or chat with it when there is no PROMPT.

    Standard input, if it is not a terminal, goes before the prompt. A server that answers at the
    address is used; otherwise an engine runs for the length of this command. A model that is not
    there is pulled first. An embedding model prints its vector as JSON.

    \b
    Example: modelkit run llama "Why is the sky blue?"
             cat notes.txt | modelkit run llama "Summarize:"
    """
    ModelName.parse(name)
    text = _prompt(prompt)
    found = server(ctx)
    if found.answers():
        _answer(found, name, text, keepalive, verbose, insecure)
        return
    if ctx.obj["host"]:
        found.call("GET", "/api/version")  # raises: the user named a server that does not answer
    with own_server() as started:
        _answer(started, name, text, keepalive, verbose, insecure)


def _prompt(words: tuple[str, ...]) -> str | None:
    """What to ask; None when there is a terminal to chat on instead."""
    text = " ".join(filter(None, [_piped(), *words]))
    return text or ("" if words or not sys.stdin.isatty() else None)


def _piped() -> str:
    """Standard input, if it is a pipe or a file: anything else might never end."""
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode)):
        return ""
    return sys.stdin.read().strip("\n")


def _answer(
    target: Server,
    name: str,
    prompt: str | None,
    keepalive: str | None,
    verbose: bool,
    insecure: bool,
) -> None:
    capabilities = _ensure(target, name, insecure)
    options: dict[str, Any] = {"model": name}
    if keepalive is not None:
        options["keep_alive"] = keepalive
    if "embedding" in capabilities:
        _embed(target, options, prompt)
    elif prompt is None:
        chat(target, options, verbose)
    else:
        last = _print_pieces(target.stream("/api/generate", {**options, "prompt": prompt}))
        if verbose:
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


def _print_pieces(pieces: Iterable[dict[str, Any]]) -> dict[str, Any]:
    last: dict[str, Any] = {}
    for last in pieces:
        click.echo(last.get("response", ""), nl=False)
        sys.stdout.flush()
    click.echo()
    return last
