"""A conversation as every API asks for it, and what is asked of the model for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelkit.model import Model
from modelkit.serve.api.abilities import require, require_no_images
from modelkit.serve.api.calling import Tooling, calling
from modelkit.serve.api.options import Options
from modelkit.serve.api.state import state
from modelkit.serve.completion import Request
from modelkit.serve.loading import Loading
from modelkit.serve.output.choice import Named, ToolChoice
from modelkit.serve.prompt import Ask, Message, conversation, prompt_text, require_template, thinks
from modelkit.serve.types import Grammar

__all__ = ["Chat", "Named", "ToolChoice", "chat_request"]


@dataclass(frozen=True)
class Chat:
    """What a client wants said, in no API's own words.

    model: as the client wrote it. tools, think, options: as in /api/chat. logprobs, truncate and
    grammar: as in Generation. keep_alive: seconds, None for the server's default. strict_tools: the
    names of tools whose arguments must obey their schema; parallel: several calls at once may be.
    """

    model: str
    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = ()
    think: bool | str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    grammar: Grammar | None = None
    logprobs: int = -1
    truncate: bool = True
    shift: bool | None = None
    keep_alive: float | None = None
    tool_choice: ToolChoice = "auto"
    strict_tools: frozenset[str] = frozenset()
    parallel: bool = True


def chat_request(model: Model, chat: Chat) -> Request:
    """What the model must do; unknown options are named in a header of the answer.

    Raises ApiError 400 for what the model cannot do and for options that are none, TemplateError
    for a template that does not parse, NotSupported; for tools, as `calling`.
    """
    require(model, chat.model, chat.think, "chat")
    require_no_images(model, chat.model, chat.messages)
    require_template(model)
    options = Options.merge(model, chat.options)
    options.report_ignored()
    load = options.load_options(model, state().load_options, chat.shift)
    tooling = Tooling(
        chat.tools, chat.tool_choice, chat.strict_tools, chat.parallel, grammar=chat.grammar
    )
    think = bool(thinks(model, chat.think))
    found = calling(model, chat.messages, tooling, think=think)
    return Request(
        loading=Loading(model, load, chat.keep_alive),
        text=prompt_text(
            model,
            conversation(model, found.messages),
            ask=Ask(tools=found.tools, think=chat.think),
            num_ctx=load.num_ctx if chat.truncate else None,
        ),
        sampling=options.sampling,
        logprobs=chat.logprobs,
        truncate=chat.truncate,
        grammar=found.grammar,
        format=found.format,
    )
