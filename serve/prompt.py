"""From a model and a conversation to the text the model continues."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from modelkit.model import Model
from modelkit.serve.types import Runner
from modelkit.templates.choice import pick_template
from modelkit.templates.images import with_image_tags
from modelkit.templates.jinja import chat_template
from modelkit.templates.messages import Message
from modelkit.templates.prompt import Think, gos_words, prompt_template
from modelkit.templates.tools import Tools

__all__ = [
    "Ask",
    "Message",
    "Prompt",
    "Tokens",
    "conversation",
    "fit",
    "prompt_text",
    "renderer",
    "require_template",
    "thinks",
]

Render = Callable[[Sequence[Message]], str]


class Tokens(Protocol):
    """What a Jinja template needs of the tokenizer; `add_bos`: it adds the begin token itself."""

    @property
    def bos_token(self) -> str: ...

    @property
    def eos_token(self) -> str: ...

    @property
    def add_bos(self) -> bool: ...


class Prompt(NamedTuple):
    """What the model continues, and how many tokens of older messages were left out of it."""

    text: str
    dropped_tokens: int = 0


# Models that were trained without the thoughts of earlier turns.
_FORGETS_FAMILY = "qwen3"
_FORGETS_NAME = "deepseek-r1"


@dataclass(frozen=True)
class Ask:
    """What a request says of its prompt beside the messages.

    `template` replaces the model's; with a `suffix`, the prompt asks for what goes in between.
    """

    tools: Sequence[Mapping[str, Any]] = ()
    think: bool | str | None = None
    template: str | None = None
    suffix: str = ""


def conversation(
    model: Model, messages: Sequence[Message], *, system: str = "", history: bool = True
) -> list[Message]:
    """The model's stored messages, then the request's; the system text in front.

    The system text (the request's own, else the model's) is left out when the request begins with
    a system message, whatever comes later.
    """
    text = system or model.system or ""
    first = messages[0].role if messages else ""
    head = [Message(role="system", content=text)] if text and first != "system" else []
    stored = [Message(role=role, content=content) for role, content in model.messages]
    everything = [*head, *(stored if history else []), *messages]
    if model.config.model_family == _FORGETS_FAMILY or model.name.model == _FORGETS_NAME:
        return _without_old_thoughts(everything)
    return everything


def require_template(model: Model, override: str | None = None) -> None:
    """Raise TemplateError when the Go template in use does not parse."""
    text = model.go_template if override is None else override
    if text is not None:
        with gos_words():
            prompt_template(text)


def renderer(model: Model, tokens: Tokens, ask: Ask | None = None) -> Render:
    """How prompts are written: the request's template, the model's, or the GGUF's own."""
    ask = ask or Ask()
    think = Think(thinks(model, ask.think))
    go = ask.template or model.go_template
    if go is None:
        return _jinja(model, tokens, ask, think)
    template, tools = prompt_template(go), Tools.of(ask.tools)

    def render(messages: Sequence[Message]) -> str:
        if ask.suffix:
            return template.insert(messages[-1].content, ask.suffix, think=think)
        tagged = messages if ask.template else with_image_tags(messages)
        return template.render(tagged, tools=tools, think=think)

    return render


def _jinja(model: Model, tokens: Tokens, ask: Ask, think: Think) -> Render:
    source = pick_template(model.chat_templates, tools=bool(ask.tools)) or ""
    template = chat_template(source)

    def render(messages: Sequence[Message]) -> str:
        prompt = template.render(
            [message.variables() for message in messages],
            tools=ask.tools,
            bos_token=tokens.bos_token,
            eos_token=tokens.eos_token,
            **think.arguments(),
        )
        return prompt.removeprefix(tokens.bos_token) if tokens.add_bos else prompt

    return render


def prompt_text(
    model: Model, messages: Sequence[Message], *, ask: Ask | None = None, num_ctx: int | None
) -> Callable[[Runner], Awaitable[Prompt]]:
    """The conversation as text, once there is a runner; num_ctx None keeps every message."""

    async def text(runner: Runner) -> Prompt:
        with gos_words():
            render = renderer(model, runner.info, ask)
            if num_ctx is None:
                return Prompt(await asyncio.to_thread(render, messages))
            return await fit(render, messages, runner, min(num_ctx, runner.info.n_ctx))

    return text


async def fit(render: Render, messages: Sequence[Message], runner: Runner, limit: int) -> Prompt:
    """Render as many of the latest messages as `limit` tokens hold.

    The oldest go first; system messages move to the front and stay; the last message stays even
    when it is too long.
    """

    async def attempt(start: int) -> tuple[bool, str]:
        kept = [m for m in messages[:start] if m.role == "system"] + list(messages[start:])
        text = await asyncio.to_thread(render, kept)
        return await _fits(text, runner, limit), text

    fits, whole = await attempt(0)
    low, high = 0, len(messages) - 1
    if fits or high < 1:
        return Prompt(whole)
    _, best = await attempt(high)
    # Dropping one message more never makes the text longer, so the first start that fits is
    # found by halving: `low` does not fit, `high` fits or is the last message.
    while high - low > 1:
        middle = (low + high) // 2
        fits, text = await attempt(middle)
        if fits:
            high, best = middle, text
        else:
            low = middle
    return Prompt(best, max(await _count(whole, runner) - await _count(best, runner), 0))


async def _fits(text: str, runner: Runner, limit: int) -> bool:
    # A token is at least one byte, so short texts need no counting.
    if len(text.encode()) <= limit:
        return True
    return await _count(text, runner) <= limit


async def _count(text: str, runner: Runner) -> int:
    return len(await runner.tokenize(text, add_special=False))


def thinks(model: Model, wanted: bool | str | None) -> bool | str | None:
    """Whether the model shall think: one that can does so unless told otherwise."""
    if wanted is None and "thinking" in model.capabilities():
        return True
    return wanted


def _without_old_thoughts(messages: Sequence[Message]) -> list[Message]:
    """Answers before the last question lose the `<think>` block they begin with."""
    users = [place for place, message in enumerate(messages) if message.role == "user"]
    last = users[-1] if users else 0
    return [
        _answer_alone(message) if place < last and message.role == "assistant" else message
        for place, message in enumerate(messages)
    ]


def _answer_alone(message: Message) -> Message:
    _, closed, answer = message.content.partition("</think>")
    if not closed or not message.content.startswith("<think>"):
        return message
    return message.with_content(answer.lstrip())
