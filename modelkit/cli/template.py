"""modelkit template"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from modelkit.cli.console import json_option, print_json
from modelkit.errors import TemplateError, UsageError
from modelkit.names import ModelName
from modelkit.store import Store

if TYPE_CHECKING:
    from modelkit.model import Model
    from modelkit.templates.messages import Message

T = TypeVar("T")

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True)
class _Tokens:
    bos_token: str = ""
    eos_token: str = ""
    add_bos: bool = True


@dataclass(frozen=True)
class _Source:
    """The text of a template, its language, and where it is from."""

    text: str
    language: str
    origin: str


@click.group("template")
def template_() -> None:
    """What a model's template makes of a conversation.

    \b
    Example: modelkit template render --model llama --messages chat.json
    """


@template_.command("render")
@click.option("--model", "name", metavar="NAME", help="Use this model's template.")
@click.option("--template", "path", type=_FILE, help="Use the template in this file.")
@click.option(
    "--language",
    type=click.Choice(["go", "jinja"]),
    help="The file's language; told by its name (.jinja) or its text otherwise.",
)
@click.option("--messages", type=_FILE, help="The conversation: a JSON list of messages.")
@click.option("--tools", type=_FILE, help="The tools the model may call: a JSON list.")
@click.option("--think", metavar="VALUE", help="true, false, low, medium, high or max.")
@click.option("--check", is_flag=True, help="Only say whether the template is valid.")
@json_option
def render_(
    name: str | None,
    path: Path | None,
    language: str | None,
    messages: Path | None,
    tools: Path | None,
    think: str | None,
    check: bool,
    as_json: bool,
) -> None:
    """Show the exact text that a model continues.

    With --model, the model's stored messages and its SYSTEM text are part of the conversation, as
    they are in its answers.

    \b
    Example: modelkit template render --model llama --messages chat.json
             modelkit template render --template chat.gotmpl --check
    """
    if (name is None) == (path is None):
        raise UsageError("exactly one of --model and --template is needed")
    model = _model(name) if name else None
    source = _read(path, language) if path else _of(model) if model else _Source("", "go", "")
    if check:
        _check(source, as_json)
        return
    if messages is None:
        raise UsageError("--messages is needed", hint="or use --check")
    from modelkit.templates.messages import Message

    conversation = _decode(messages, list[Message])
    offered = _decode(tools, list[dict[str, Any]]) if tools else []
    with _placed(source):
        text = _render(source, model, conversation, offered, _think(think))
    if as_json:
        print_json({"prompt": text, "language": source.language})
    else:
        click.echo(text, nl=False)


def _render(
    source: _Source,
    model: "Model | None",
    messages: "list[Message]",
    tools: list[dict[str, Any]],
    think: bool | str | None,
) -> str:
    from modelkit.serve.prompt import Ask, conversation, renderer
    from modelkit.templates.jinja import chat_template
    from modelkit.templates.prompt import Think, prompt_template
    from modelkit.templates.tools import Tools

    if model is not None:
        ask = Ask(tools=tools, think=think)
        return renderer(model, _tokens(model), ask)(conversation(model, messages))
    if source.language == "go":
        template = prompt_template(source.text)
        return template.render(messages, tools=Tools.of(tools), think=Think(think))
    given = [message.variables() for message in messages]
    return chat_template(source.text).render(given, tools=tools, **Think(think).arguments())


def _model(name: str) -> "Model":
    from modelkit.model import Model

    return Model.open(Store.default(), ModelName.parse(name))


def _of(model: "Model") -> _Source:
    """The template in use."""
    go = model.go_template
    if go is not None:
        return _Source(go, "go", model.name.short)
    return _Source(model.chat_templates["default"], "jinja", model.name.short)


def _read(path: Path, language: str | None) -> _Source:
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: {error.reason}") from error
    jinja = path.suffix in (".jinja", ".jinja2", ".j2") or "{%" in text
    return _Source(text, language or ("jinja" if jinja else "go"), str(path))


def _check(source: _Source, as_json: bool) -> None:
    """Say what the template can do; raises TemplateError when it does not parse."""
    from modelkit.templates.detect import go_traits, jinja_traits
    from modelkit.templates.jinja import chat_template
    from modelkit.templates.prompt import prompt_template

    with _placed(source):
        if source.language == "go":
            prompt_template(source.text)
        else:
            chat_template(source.text)
    traits = (go_traits if source.language == "go" else jinja_traits)(source.text)
    if as_json:
        print_json({"language": source.language, "capabilities": traits.capabilities})
    else:
        language = "Go" if source.language == "go" else "Jinja"
        shown = f": {', '.join(traits.capabilities)}" if traits.capabilities else ""
        click.echo(f"{source.origin}: valid {language} template{shown}")


@contextmanager
def _placed(source: _Source) -> Iterator[None]:
    """Put file, line and column in front of a template's error."""
    try:
        yield
    except TemplateError as error:
        place = f":{error.line}:{error.column}" if error.line else ""
        error.message = f"{source.origin}{place}: {error.message}"
        raise


def _decode(path: Path, kind: type[T]) -> T:
    import msgspec

    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error


def _think(value: str | None) -> bool | str | None:
    if value in (None, "true", "false"):
        return None if value is None else value == "true"
    if value in ("low", "medium", "high", "max"):
        return value
    raise UsageError(f"invalid think value: {value!r}", hint="see --help")


def _tokens(model: "Model") -> _Tokens:
    """The special tokens by the GGUF's header; the engine says the same once it has loaded it."""
    metadata = model.read_header(arrays=True).metadata
    vocabulary = metadata.get("tokenizer.ggml.tokens")

    def token(kind: str) -> str:
        number = metadata.get(f"tokenizer.ggml.{kind}_token_id")
        if not isinstance(vocabulary, list) or not isinstance(number, int):
            return ""
        return str(vocabulary[number]) if 0 <= number < len(vocabulary) else ""

    add_bos = metadata.get("tokenizer.ggml.add_bos_token", True) is not False
    return _Tokens(token("bos"), token("eos"), add_bos)
