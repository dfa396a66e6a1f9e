"""What the tools of a conversation mean for its prompt, its answer's format and its grammar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelkit.model import Model
from modelkit.serve.api.abilities import require_tools
from modelkit.serve.output import AnswerFormat, answer_format
from modelkit.serve.output.choice import ToolChoice
from modelkit.serve.output.forced import call_grammar
from modelkit.serve.output.format import is_harmony
from modelkit.serve.output.harmony import identifiers
from modelkit.serve.output.offers import offers
from modelkit.serve.prompt import Message
from modelkit.serve.types import Grammar
from modelkit.templates.messages import Function, ToolCall
from modelkit.templates.tools import Tools


@dataclass(frozen=True)
class Calling:
    """The messages and tools that the prompt shows, what is read from the answer, and how."""

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]]
    format: AnswerFormat
    grammar: Grammar | None


@dataclass(frozen=True)
class Tooling:
    """What a request says of tools; `grammar` is that of an answer without calls."""

    tools: Sequence[Mapping[str, Any]] = ()
    choice: ToolChoice = "auto"
    strict: frozenset[str] = frozenset()
    parallel: bool = True
    grammar: Grammar | None = None


def calling(model: Model, messages: Sequence[Message], tooling: Tooling, *, think: bool) -> Calling:
    """With the choice "none" the model is not told of its tools.

    Raises ApiError 400 for a model that cannot call tools, UsageError for what is no tool, a choice
    of none that is there, and schemas that the model's form of calls cannot enforce.
    """
    tools = tooling.tools
    names = [name for tool in Tools.of(tools) if (name := tool.function.name)]
    if tools:
        require_tools(model)
    if tooling.choice == "none":
        tools, names = (), []
    free = tooling.choice in ("auto", "none")
    found = offers(tools, strict=tooling.strict if free else None)
    schemas = {offer.name: offer.parameters for offer in found}
    form = answer_format(model, think=think, tools=names, schemas=schemas)
    grammar = call_grammar(
        form, found, tooling.choice, parallel=tooling.parallel, content=tooling.grammar
    )
    if form.harmony:
        form = replace(form, enclosed=grammar is not tooling.grammar)
    if is_harmony(model):
        messages, tools = _renamed(messages, tools, names)
    return Calling(messages, tools, form, grammar)


def _renamed(
    messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> tuple[list[Message], list[Mapping[str, Any]]]:
    """Everything with the names that a model of gpt-oss's kind knows tools by."""
    earlier = [call.function.name for message in messages for call in message.tool_calls]
    results = [message.tool_name for message in messages if message.tool_name]
    known = identifiers([*names, *earlier, *results])
    shown = [_copy(message, known) for message in messages]
    return shown, [_with_name(tool, known) for tool in tools]


def _copy(message: Message, known: Mapping[str, str]) -> Message:
    calls = [
        ToolCall(
            id=call.id,
            function=Function(
                index=call.function.index,
                name=known[call.function.name],
                arguments=call.function.arguments,
            ),
        )
        for call in message.tool_calls
    ]
    copy = message.with_content(message.content)
    copy.tool_calls, copy.tool_name = calls, known.get(message.tool_name, "")
    return copy


def _with_name(tool: Mapping[str, Any], known: Mapping[str, str]) -> Mapping[str, Any]:
    function = tool.get("function") or {}
    if function.get("name") not in known:
        return tool
    return {**tool, "function": {**function, "name": known[function["name"]]}}
