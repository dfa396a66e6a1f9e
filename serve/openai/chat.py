"""POST /v1/chat/completions."""

from typing import Any

import msgspec
from quart import Response

from modelkit.serve.api.asking import ask, ours
from modelkit.serve.api.chatting import Chat
from modelkit.serve.api.inference import rendered
from modelkit.serve.api.stream import json_response
from modelkit.serve.openai.body import CompletionBody, effort
from modelkit.serve.openai.chat_answer import ChatAnswer
from modelkit.serve.openai.choices import answers, variants
from modelkit.serve.openai.errors import (
    NAMES,
    FieldError,
    error_body,
    openai_blueprint,
    unsupported,
)
from modelkit.serve.openai.format import ResponseFormat, response_grammar
from modelkit.serve.openai.messages import chat_messages
from modelkit.serve.openai.reader import read
from modelkit.serve.openai.sse import sse_response
from modelkit.serve.openai.tools import Toolbox
from modelkit.serve.remote.passing import cloud_first

blueprint = openai_blueprint("chat")

_REFUSED = ("audio", "function_call", "functions", "moderation", "web_search_options")


class Reasoning(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How much the model shall think."""

    effort: str | None = None


class ChatBody(CompletionBody, forbid_unknown_fields=True, kw_only=True):
    """Every field of OpenAI's; those without a use below change nothing about an answer."""

    messages: list[Any] | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: ResponseFormat | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    reasoning_effort: str | None = None
    modalities: list[str] | None = None
    verbosity: str | None = None
    store: bool | None = None
    audio: Any = None
    function_call: Any = None
    functions: Any = None
    moderation: Any = None
    web_search_options: Any = None
    metadata: Any = None
    prediction: Any = None
    prompt_cache_key: Any = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None
    safety_identifier: Any = None
    service_tier: Any = None

    def chat(self) -> Chat:
        """The request in no API's own words; raises FieldError for what cannot be honoured."""
        self._refuse()
        if not self.messages:
            raise FieldError("messages", "[] is too short - 'messages'", "invalid_value")
        toolbox = Toolbox.of(self.tools, self.tool_choice)
        return Chat(
            model=self.name,
            messages=chat_messages(self.messages),
            tools=toolbox.tools,
            think=self._thinking(),
            options=self._options(),
            grammar=response_grammar(self.response_format),
            logprobs=self._wanted_logprobs(),
            truncate=bool(self.truncate),
            keep_alive=self.seconds_to_live(),
            tool_choice=toolbox.choice,
            strict_tools=toolbox.strict,
            parallel=self.parallel_tool_calls is not False,
        )

    def _refuse(self) -> None:
        for name in _REFUSED:
            if getattr(self, name) is not None:
                raise unsupported(name)
        if self.store:
            raise unsupported("store", "must be false: nothing is stored here")
        if self.modalities not in (None, ["text"]):
            raise unsupported("modalities", "must be ['text']")
        if self.verbosity not in (None, "medium"):
            raise unsupported("verbosity", "must be 'medium'")

    def _thinking(self) -> bool | str | None:
        self.check_think()
        if self.think is not None:
            return self.think
        if self.reasoning is not None:
            return effort(self.reasoning.effort, "reasoning.effort")
        return effort(self.reasoning_effort, "reasoning_effort")

    def _options(self) -> dict[str, Any]:
        limit = self.max_completion_tokens
        if limit is None:
            return self.model_options()
        if self.max_tokens not in (None, limit):
            text = "'max_tokens' and 'max_completion_tokens' must not differ"
            raise FieldError("max_tokens", text, "invalid_value")
        return self.model_options() | {"num_predict": limit}

    def _wanted_logprobs(self) -> int:
        if self.top_logprobs is not None and not 0 <= self.top_logprobs <= 20:
            text = "top_logprobs must be between 0 and 20"
            raise FieldError("top_logprobs", text, "invalid_value")
        if self.logprobs:
            return self.top_logprobs or 0
        if self.top_logprobs:
            text = "'logprobs' must be true when 'top_logprobs' is used"
            raise FieldError("top_logprobs", text, "invalid_value")
        return -1


@blueprint.post("/v1/chat/completions")
@cloud_first
async def chat_completions() -> Response:
    """Answer a conversation, `n` times."""
    body = await read(ChatBody)
    chat, number, usage = body.chat(), body.choices, body.include_usage
    asked = await ask(chat, NAMES)
    answer = ChatAnswer(body.name, number)
    if body.debug_render_only:
        request = ours(asked)
        info = await rendered(request.loading, request.text)
        return json_response(answer.whole() | {"_debug_info": info})
    parts = answers(variants(asked, number))
    if body.stream:
        return await sse_response(answer.frames(parts, include_usage=usage), error_body)
    await answer.take(parts)
    return json_response(answer.whole())
