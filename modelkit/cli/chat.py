"""The conversation of `modelkit run NAME` on a terminal."""

import sys
from typing import Any

import click

from modelkit.cli.console import say
from modelkit.cli.server import Server
from modelkit.errors import ModelkitError

HELP = """\
/clear     forget the conversation
/bye       leave (or Ctrl-D)
/?         this help
\"\"\"        begins and ends a message of several lines; Ctrl-C stops an answer"""


def chat(target: Server, options: dict[str, Any], verbose: bool) -> None:
    """Read lines, stream answers, keep the history until /bye."""
    import readline  # noqa: F401  (gives `input` its line editing)

    history: list[dict[str, str]] = []
    while (text := _read()) is not None:
        if text in ("/bye", "/exit"):
            return
        if text == "/clear":
            history.clear()
        elif text.startswith("/"):
            say(HELP)
        elif text:
            _turn(target, options, history, text, verbose)


def _read() -> str | None:
    try:
        line = input(">>> ")
        if not line.startswith('"""'):
            return line.strip()
        lines = [line.removeprefix('"""')]
        while not lines[-1].endswith('"""'):
            lines.append(input("... "))
        return "\n".join(lines).removesuffix('"""')
    except EOFError:
        click.echo()
        return None
    except KeyboardInterrupt:
        say("\nUse Ctrl-D or /bye to leave.")
        return ""


def _turn(
    target: Server, options: dict[str, Any], history: list[dict[str, str]], text: str, verbose: bool
) -> None:
    messages = [*history, {"role": "user", "content": text}]
    answer, last = "", {}
    try:
        for last in target.stream("/api/chat", {**options, "messages": messages}):
            piece = last["message"]["content"]
            answer += piece
            click.echo(piece, nl=False)
            sys.stdout.flush()
    except KeyboardInterrupt:
        pass  # the answer so far counts
    except ModelkitError as error:
        say(f"Error: {error.message}")
        return
    click.echo("\n")
    history[:] = [*messages, {"role": "assistant", "content": answer}]
    if verbose:
        print_metrics(last)


def print_metrics(last: dict[str, Any]) -> None:
    """Counts and speeds of the last object of a stream, on stderr."""
    for kind in ("prompt_eval", "eval"):
        count, span = last.get(f"{kind}_count", 0), last.get(f"{kind}_duration", 0) / 1e9
        label = kind.replace("_", " ")
        say(f"{label} count:".ljust(22) + f"{count} token(s)")
        if span:
            say(f"{label} rate:".ljust(22) + f"{count / span:.2f} tokens/s")
    say("total duration:".ljust(22) + f"{last.get('total_duration', 0) / 1e9:.3f}s")
