"""The conversation of `modelkit run NAME` on a terminal."""

from typing import Any

import click

from modelkit.cli.answer import AnswerPrinter
from modelkit.cli.console import say
from modelkit.cli.server import Server
from modelkit.errors import ModelkitError, UsageError
from modelkit.options import OPTIONS, parse_parameter

HELP = """\
/set parameter NAME VALUE…
           as PARAMETER in a Modelfile
/clear     forget the conversation
/bye       leave (or Ctrl-D)
/?         this help
\"\"\"        begins and ends a message of several lines; Ctrl-C stops an answer"""


def chat(target: Server, fields: dict[str, Any], *, hidden: bool, verbose: bool) -> None:
    """Read lines, stream answers, keep the history until /bye.

    fields: those of every request. hidden: thoughts are not shown.
    """
    import readline  # noqa: F401  (gives `input` its line editing)

    conversation = _Conversation(target, fields, hidden, verbose)
    while (text := _read()) is not None:
        if text in ("/bye", "/exit"):
            return
        if text.startswith("/"):
            conversation.obey(text.split())
        elif text:
            conversation.ask(text)


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


class _Conversation:
    """What was said so far, and what was set for what comes."""

    def __init__(self, target: Server, fields: dict[str, Any], hidden: bool, verbose: bool) -> None:
        self._target, self._fields = target, fields
        self._hidden, self._verbose = hidden, verbose
        self._parameters: dict[str, object] = {}
        self._history: list[dict[str, str]] = []

    def obey(self, words: list[str]) -> None:
        """A line that begins with a slash."""
        match words:
            case ["/clear"]:
                self._history.clear()
            case ["/set", "parameter", name, *values] if values:
                self._set(name, values)
            case ["/?" | "/help" | "/set", *_]:
                say(HELP)
            case _:
                say(f"Unknown command '{words[0]}'. Type /? for help")

    def ask(self, text: str) -> None:
        """One question and its answer."""
        messages = [*self._history, {"role": "user", "content": text}]
        printer = AnswerPrinter(hidden=self._hidden)
        body = {**self._fields, "messages": messages, "options": self._parameters}
        answer, last = "", {}
        try:
            for last in self._target.stream("/api/chat", body):
                message = last["message"]
                answer += message["content"]
                printer.show(message.get("thinking", ""), message["content"])
        except KeyboardInterrupt:
            pass  # the answer so far counts
        except ModelkitError as error:
            say(f"Error: {error.message}")
            return
        click.echo("\n")
        self._history = [*messages, {"role": "assistant", "content": answer}]
        if self._verbose:
            print_metrics(last)

    def _set(self, name: str, values: list[str]) -> None:
        try:
            parsed = [parse_parameter(name, value) for value in values]
        except UsageError as error:
            say(f'Couldn\'t set parameter: "{error.message}"')
            return
        several = OPTIONS[name].type == "strings"
        self._parameters[name] = values if several else parsed[0]
        click.echo(f"Set parameter '{name}' to '{', '.join(values)}'")


def print_metrics(last: dict[str, Any]) -> None:
    """Counts and speeds of the last object of a stream, on stderr."""
    for kind in ("prompt_eval", "eval"):
        count, span = last.get(f"{kind}_count", 0), last.get(f"{kind}_duration", 0) / 1e9
        label = kind.replace("_", " ")
        say(f"{label} count:".ljust(22) + f"{count} token(s)")
        if span:
            say(f"{label} rate:".ljust(22) + f"{count / span:.2f} tokens/s")
    say("total duration:".ljust(22) + f"{last.get('total_duration', 0) / 1e9:.3f}s")
