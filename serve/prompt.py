"""From a model and a conversation to the text the model continues: the seam for templates."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from modelkit.model import Model
from modelkit.serve.errors import NotSupported
from modelkit.serve.types import LoadedModel, Runner
from modelkit.settings import flag
from modelkit.templates.jinja import chat_template

PLAIN_TEMPLATE = "{{ .Prompt }}"

Render = Callable[[Sequence["Message"]], str]


class Message(msgspec.Struct, kw_only=True):
    """One turn of a conversation, as requests carry it; images are base64."""

    role: str = ""
    content: str = ""
    thinking: str = ""
    images: list[str] = []
    tool_calls: list[dict[str, Any]] = []
    tool_name: str = ""
    tool_call_id: str = ""

    def __post_init__(self) -> None:
        self.role = self.role.lower()

    def variables(self) -> dict[str, object]:
        """What a chat template sees; parts that are empty are not there."""
        optional = {
            "thinking": self.thinking,
            "reasoning_content": self.thinking,
            "tool_calls": self.tool_calls,
            "name": self.tool_name,
            "tool_call_id": self.tool_call_id,
        }
        given = {key: value for key, value in optional.items() if value}
        return {"role": self.role, "content": self.content, **given}


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
    return [*head, *(stored if history else []), *messages]


def require_template(model: Model, override: str | None = None) -> None:
    """Raise NotSupported when the prompt needs Go's template language."""
    text = model.template if override is None else override
    if text is not None and text.strip() != PLAIN_TEMPLATE and flag("GO_TEMPLATE", True):
        raise NotSupported(
            f"a template in Go's template language (model {model.name.short})",
            hint="leave TEMPLATE out to use the chat template inside the GGUF file",
        )


def renderer(model: Model, info: LoadedModel, override: str | None = None) -> Render:
    """How this model's prompts are written: its chat template, or the bare texts in turn."""
    require_template(model, override)
    text = model.template if override is None else override
    if info.chat_template is None or (text is not None and flag("GO_TEMPLATE", True)):
        return render_plain
    template, source = chat_template(info.chat_template), info

    def render(messages: Sequence[Message]) -> str:
        prompt = template.render(
            [message.variables() for message in messages],
            bos_token=source.bos_token,
            eos_token=source.eos_token,
        )
        # The tokenizer adds the begin token itself.
        return prompt.removeprefix(source.bos_token) if source.add_bos else prompt

    return render


def render_plain(messages: Sequence[Message]) -> str:
    """What `{{ .Prompt }}` makes of a conversation: each prompt with its answer, in turn."""
    text, prompt, answer = "", "", ""
    for message in _merged(messages):
        if message.role == "system" and (prompt or answer):
            text, prompt, answer = text + prompt + answer, "", ""
        elif message.role == "user":
            if answer:
                text, prompt, answer = text + prompt + answer, "", ""
            prompt = message.content
        elif message.role == "assistant":
            answer = message.content
    return text + prompt + answer


def prompt_text(
    model: Model,
    messages: Sequence[Message],
    *,
    template: str | None = None,
    num_ctx: int | None,
) -> Callable[[Runner], Awaitable[str]]:
    """The conversation as text, once there is a runner; num_ctx None keeps every message."""

    async def text(runner: Runner) -> str:
        render = renderer(model, runner.info, template)
        if num_ctx is None:
            return await asyncio.to_thread(render, messages)
        return await fit(render, messages, runner, min(num_ctx, runner.info.n_ctx))

    return text


async def fit(render: Render, messages: Sequence[Message], runner: Runner, limit: int) -> str:
    """Render as many of the latest messages as `limit` tokens hold.

    The oldest go first; system messages move to the front and stay; the last message stays even
    when it is too long.
    """

    async def attempt(start: int) -> tuple[bool, str]:
        kept = [m for m in messages[:start] if m.role == "system"] + list(messages[start:])
        text = await asyncio.to_thread(render, kept)
        return await _fits(text, runner, limit), text

    fits, text = await attempt(0)
    low, high = 0, len(messages) - 1
    if fits or high < 1:
        return text
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
    return best


async def _fits(text: str, runner: Runner, limit: int) -> bool:
    # A token is at least one byte, so short texts need no counting.
    if len(text.encode()) <= limit:
        return True
    return len(await runner.tokenize(text, add_special=False)) <= limit


def _merged(messages: Sequence[Message]) -> list[Message]:
    """Neighbours of one role become one message, joined by a blank line; tool results do not."""
    merged: list[Message] = []
    for message in messages:
        if merged and merged[-1].role == message.role != "tool":
            joined = f"{merged[-1].content}\n\n{message.content}"
            merged[-1] = Message(role=message.role, content=joined)
        else:
            merged.append(message)
    return merged
