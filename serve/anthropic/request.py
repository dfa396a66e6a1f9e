"""The body of /v1/messages and what it asks of the model."""

import dataclasses
from typing import Annotated, Any, Literal

import msgspec

from modelkit.serve.anthropic.blocks import TextBlock
from modelkit.serve.anthropic.conversation import Turn, messages_of
from modelkit.serve.anthropic.tools import ToolChoice, read_tools
from modelkit.serve.api.chatting import Chat
from modelkit.serve.api.errors import ApiError
from modelkit.serve.types import Grammar

# Budgets of thought, in tokens, up to which a model with levels thinks little, or moderately.
_LOW_BUDGET = 4096
_MEDIUM_BUDGET = 16384
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "max"}


class Thinking(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whether to think. `adaptive` leaves it to the model, `omitted` keeps the thoughts back."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    display: Literal["summarized", "omitted"] | None = None


class OutputFormat(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A form that the answer must have."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How much to think when `thinking` does not say, and the form of the answer."""

    effort: str | None = None
    format: OutputFormat | None = None


class Metadata(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Who asks; nobody here wants to know."""

    user_id: str | None = None


class CountRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a prompt is made of: the body of /v1/messages/count_tokens.

    Of what `context_management` proposes nothing is done; the answer says so in its own field.
    """

    model: str = ""
    messages: list[Turn] | None = None
    system: str | list[TextBlock] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    cache_control: dict[str, Any] | None = None
    context_management: dict[str, Any] | None = None

    def check(self) -> None:
        """What must be there; raises ApiError 400."""
        if not self.model.strip():
            raise ApiError(400, "model is required")
        if not self.messages:
            raise ApiError(400, "messages is required")

    def chat(self) -> Chat:
        """The request in no API's words; raises ApiError 400."""
        tools, choice = read_tools(self.tools or []), self.tool_choice or ToolChoice(type="auto")
        messages = messages_of(self.system, self.messages or [])
        if not messages:
            raise ApiError(400, "messages: at least one must say something")
        return Chat(
            model=self.model,
            messages=messages,
            tools=[tool.native() for tool in tools],
            think=self._think(),
            grammar=self._grammar(),
            truncate=False,
            tool_choice=choice.choice(tools),
            strict_tools=frozenset(tool.name for tool in tools if tool.strict),
            parallel=not choice.disable_parallel_tool_use,
        )

    def _grammar(self) -> Grammar | None:
        if self.output_config is None or self.output_config.format is None:
            return None
        schema = self.output_config.format.schema
        return Grammar("json_schema", msgspec.json.encode(schema).decode())

    def _think(self) -> bool | str | None:
        """Source: spec section 2.1; and a budget is a level, for the models that know levels."""
        thinking = self.thinking
        if thinking is not None and thinking.type == "disabled":
            return False
        if thinking is not None and thinking.type == "enabled":
            return _level(thinking.budget_tokens)
        effort = (self.output_config and self.output_config.effort) or ""
        return _EFFORTS.get(effort.strip().lower())


class MessagesRequest(CountRequest, kw_only=True):
    """The body of /v1/messages; with `truncate` a prompt that is too long loses its oldest turns.

    metadata and service_tier change no answer.
    """

    max_tokens: int = 0
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[Annotated[str, msgspec.Meta(min_length=1)]] | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    truncate: bool = False

    def check(self) -> None:
        """As CountRequest.check."""
        if self.model.strip() and self.max_tokens <= 0:
            raise ApiError(400, "max_tokens is required and must be positive")
        super().check()

    def chat(self) -> Chat:
        """As CountRequest.chat."""
        given = {
            "num_predict": self.max_tokens,
            "stop": self.stop_sequences,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
        }
        options = {name: value for name, value in given.items() if value is not None}
        return dataclasses.replace(super().chat(), options=options, truncate=self.truncate)

    @property
    def hides_thoughts(self) -> bool:
        """Whether thoughts are thought but not shown."""
        return self.thinking is not None and self.thinking.display == "omitted"


def _level(budget: int | None) -> bool | str:
    if budget is None:
        return True
    if budget <= _LOW_BUDGET:
        return "low"
    return "medium" if budget <= _MEDIUM_BUDGET else "high"
