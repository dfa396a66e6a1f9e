"""The `modelkit` command: finds the verb; every failure becomes one line and an exit code."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

import click

from modelkit.errors import ModelfileError, ModelkitError
from modelkit.settings import flag
from modelkit.version import __version__

# verb: (module below modelkit.cli, one line for --help). Modules load when their verb is used.
VERBS = {
    "build": ("build", "Compile a Modelfile into the store."),
    "create": ("build", "Compile a Modelfile, in Ollama's spelling: create NAME -f FILE."),
    "lint": ("lint", "Find mistakes in Modelfiles, and mend the simple ones."),
    "fmt": ("fmt", "Rewrite Modelfiles in one style."),
    "parse": ("parse", "Print the commands of Modelfiles as JSON."),
    "list": ("list", "List models."),
    "show": ("show", "Show what a model is."),
    "run": ("run", "Ask a model, or chat with it."),
    "pull": ("pull", "Get a model from a registry; the trust policy decides whether it may."),
    "push": ("push", "Send a model and its signatures to a registry."),
    "cp": ("cp", "Give a model a second name."),
    "rm": ("rm", "Remove models."),
    "convert": ("convert", "Convert a Hugging Face folder to GGUF."),
    "quantize": ("quantize", "Quantize a GGUF file."),
    "inspect": ("inspect", "Show a GGUF file's metadata and tensors."),
    "template": ("template", "Show the prompt that a template makes of a conversation."),
    "keygen": ("keygen", "Make a signing key."),
    "sign": ("sign", "Sign a model."),
    "verify": ("verify", "Check a model's signatures."),
    "serve": ("serve", "Answer Ollama's HTTP API."),
    "key": ("key", "API keys: who may use the server."),
    "ps": ("ps", "List the models a server has loaded."),
    "stop": ("stop", "Unload a model from a server."),
    "login": ("login", "Keep a registry's credentials."),
    "logout": ("login", "Forget a registry's credentials."),
    "registry": ("registry", "The embedded OCI registry."),
    "verify-store": ("verify_store", "Read and hash every blob of every model."),
    "prune": ("prune", "Remove what no model uses any more."),
    "doctor": ("doctor", "Say what is installed, whether it works, and how to mend it."),
}
ALIASES = {"ls": "list", "copy": "cp", "start": "serve"}


class Verbs(click.Group):
    """A group whose commands are imported on use, so that each start pays for one verb only."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = ALIASES.get(cmd_name, cmd_name)
        if verb not in VERBS:
            return None
        command: click.Command = getattr(
            import_module(f"modelkit.cli.{VERBS[verb][0]}"), _name(verb)
        )
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        verb = args[0] if args else ""
        if verb and not verb.startswith("-") and ALIASES.get(verb, verb) not in VERBS:
            raise click.UsageError(f"unknown command {verb!r}{_nearest(verb)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, summary) for verb, (_, summary) in VERBS.items()])


def _name(verb: str) -> str:
    # `list` would hide the built-in in its own module.
    return f"{verb.replace('-', '_')}_"


def _nearest(verb: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(verb, [*VERBS, *ALIASES], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


EPILOG = """\b
A first minute:
  modelkit build -f Modelfile -t my-model -q q4_k_m
  modelkit run my-model "Why is the sky blue?"
  modelkit push registry.example/team/my-model

\b
Environment: MODELKIT_MODELS, MODELKIT_HOST and every OLLAMA_ variable.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused by policy, 130 interrupted.
"""


@click.group(cls=Verbs, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-v", "--version", message="modelkit %(version)s")
@click.option("--debug", is_flag=True, help="On an error, print the traceback as well.")
@click.option("--host", metavar="URL", help="Ask this server instead of the local store.")
@click.pass_context
def cli(ctx: click.Context, debug: bool, host: str | None) -> None:
    """Build, sign, ship and serve language models.

    A Modelfile goes in; a content-addressed, signed model comes out; the same model answers
    over Ollama's HTTP API. Everything works on the local store unless --host (or MODELKIT_HOST,
    OLLAMA_HOST) names a server.
    """
    ctx.obj = {"debug": debug, "host": host}


def main() -> NoReturn:
    """Run the command line and exit."""
    debug = "--debug" in sys.argv or flag("DEBUG")
    sys.exit(guard(lambda: cli.main(standalone_mode=False), debug))


def guard(run: Callable[[], Any], debug: bool) -> int:
    """Run the command; every failure becomes one line on stderr and an exit code."""
    try:
        # Without its standalone mode, click returns the code of `Exit` instead of raising it.
        code = run()
    except ModelfileError as error:
        _point_at(error)
        place = f"{error.filename}:{error.line}:{error.column}"
        return _fail(f"{place}: {error.message}", error.hint, error.exit_code, debug)
    except ModelkitError as error:
        return _fail(error.message, error.hint, error.exit_code, debug)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", None, 130, debug)
    except click.UsageError as error:
        context = error.ctx.command_path if error.ctx else "modelkit"
        return _fail(error.format_message(), f"see `{context} --help`", 2, debug)
    except click.ClickException as error:
        return _fail(error.format_message(), None, 1, debug)
    except BrokenPipeError:
        # Whoever read our output has enough; nothing more can be said to them.
        sys.stdout = None
        return 1
    except OSError as error:
        return _fail(str(error), None, 1, debug)
    except Exception as error:
        kind = type(error).__name__
        return _fail(f"{kind}: {error}", "this is a bug; --debug shows where", 1, debug)
    return code if isinstance(code, int) else 0


def _point_at(error: ModelfileError) -> None:
    """Show the line, with a caret below the column."""
    margin = f"{error.line} | "
    print(margin + error.source_line, file=sys.stderr)  # noqa: T201
    print(" " * (len(margin) + error.column - 1) + "^", file=sys.stderr)  # noqa: T201


def _fail(message: str, hint: str | None, code: int, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    first_line = " ".join(message.split("\n"))
    print(f"Error: {first_line}" + (f"; {hint}" if hint else ""), file=sys.stderr)  # noqa: T201
    return code
