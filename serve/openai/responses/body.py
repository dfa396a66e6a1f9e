"""The body of a request for a response: what can be honoured, and what is refused by name."""

from collections.abc import Sequence
from typing import Any

import msgspec

from modelkit.serve.api.chatting import Chat
from modelkit.serve.openai.body import effort
from modelkit.serve.openai.errors import FieldError, unsupported
from modelkit.serve.openai.responses.store import Item
from modelkit.serve.openai.responses.text import TextConfig
from modelkit.serve.openai.responses.tools import toolbox
from modelkit.serve.openai.responses.transcript import messages_of

_LOGPROBS = "message.output_text.logprobs"
# Thoughts always come with their text, and images are kept as they were sent.
_INCLUDABLE = (_LOGPROBS, "reasoning.encrypted_content", "message.input_image.image_url")
_REFUSED = ("conversation", "prompt", "context_management", "moderation")
# What may be said of a field because it asks for what happens anyway.
_ONLY: dict[str, tuple[object, ...]] = {
    "background": (False,),
    "service_tier": ("auto", "default"),
    "prompt_cache_retention": ("in_memory", "in-memory"),
}
_MOST_METADATA = 16


class Reasoning(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """How much the model shall think; all of its thoughts are its summary, whatever is asked."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a stream holds besides the answer."""

    include_obfuscation: bool | None = None


class ResponseBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Every field of OpenAI's; null is as good as absent.

    options and truncate are as in /api/chat and not OpenAI's. Those without a use below change
    nothing about an answer.
    """

    model: str | None = None
    input: Any = None
    instructions: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    reasoning: Reasoning | None = None
    text: TextConfig | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    truncation: str | None = None
    metadata: dict[str, str] | None = None
    options: dict[str, Any] | None = None
    truncate: bool | None = None
    background: bool | None = None
    service_tier: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: Any = None
    client_metadata: Any = None
    conversation: Any = None
    prompt: Any = None
    context_management: Any = None
    moderation: Any = None

    @property
    def name(self) -> str:
        """The model's name as the client wrote it, the empty text for none."""
        return self.model or ""

    @property
    def stored(self) -> bool:
        """Whether the response shall be kept."""
        return self.store is not False

    @property
    def truncates(self) -> bool:
        """Whether what does not fit the context is left out."""
        return self.truncation == "auto" or bool(self.truncate)

    def check(self) -> None:
        """Refuse what cannot be honoured; raises FieldError."""
        for name in _REFUSED:
            if getattr(self, name) is not None:
                raise unsupported(name)
        for name, allowed in _ONLY.items():
            if getattr(self, name) not in (None, *allowed):
                raise unsupported(name, f"must be {' or '.join(map(repr, allowed))}")
        for place, name in enumerate(self.include or ()):
            if name not in _INCLUDABLE:
                raise unsupported(f"include[{place}]", f"must be one of {', '.join(_INCLUDABLE)}")
        if self.stream_options and self.stream_options.include_obfuscation:
            raise unsupported("stream_options.include_obfuscation")
        if len(self.metadata or ()) > _MOST_METADATA:
            raise _invalid("metadata", f"may have at most {_MOST_METADATA} keys")
        if self.truncation not in (None, "auto", "disabled"):
            raise _invalid("truncation", "must be 'auto' or 'disabled'")
        if self.max_output_tokens is not None and self.max_output_tokens < 1:
            raise _invalid("max_output_tokens", "must be at least 1")
        if not 0 <= (self.top_logprobs or 0) <= 20:
            raise _invalid("top_logprobs", "must be between 0 and 20")

    def chat(self, items: Sequence[Item]) -> Chat:
        """What is asked, in no API's own words; raises FieldError.

        items: the whole conversation, that of `previous_response_id` included.
        """
        box = toolbox(self.tools, self.tool_choice)
        return Chat(
            model=self.name,
            messages=messages_of(items, self.instructions or ""),
            tools=box.tools,
            think=effort(self.reasoning.effort if self.reasoning else None, "reasoning.effort"),
            options=self._options(),
            grammar=self.text.grammar() if self.text else None,
            logprobs=self._wanted_logprobs(),
            truncate=self.truncates,
            tool_choice=box.choice,
            strict_tools=box.strict,
            parallel=self.parallel_tool_calls is not False,
        )

    def _options(self) -> dict[str, Any]:
        given = {
            "num_predict": self.max_output_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
        }
        wanted = {name: value for name, value in given.items() if value is not None}
        return {"temperature": 1.0, **(self.options or {}), **wanted}

    def _wanted_logprobs(self) -> int:
        if self.top_logprobs or _LOGPROBS in (self.include or ()):
            return self.top_logprobs or 0
        return -1


def _invalid(field: str, text: str) -> FieldError:
    return FieldError(field, f"'{field}' {text}", "invalid_value")
