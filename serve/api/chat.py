"""POST /api/chat: the next message of a conversation."""

import time
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from quart import Blueprint, Response

from modelkit.serve.api import inference
from modelkit.serve.api.chatting import Chat, Named, ToolChoice, chat_request
from modelkit.serve.api.codec import timestamp
from modelkit.serve.api.errors import ApiError, NameErrors
from modelkit.serve.api.reader import read
from modelkit.serve.api.relay import relay
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response
from modelkit.serve.completion import Delta, Done, Request
from modelkit.serve.loading import Loading
from modelkit.serve.output import Output
from modelkit.serve.output.offers import strict_names
from modelkit.serve.prompt import Message
from modelkit.serve.remote.answers import with_texts
from modelkit.serve.remote.places import LivesElsewhere, Place
from modelkit.templates.messages import ToolCall

blueprint = Blueprint("chat", __name__)

_ERRORS = NameErrors(400, "model is required")


class ChatRequest(inference.InferenceRequest, kw_only=True):
    """The body of /api/chat."""

    messages: list[Message] = msgspec.field(default_factory=list)
    tools: list[dict[str, Any]] = msgspec.field(default_factory=list)
    tool_choice: Any = None
    parallel_tool_calls: bool = True

    def chat(self) -> Chat:
        """The request in no API's own words; raises ApiError 400 for a format that is none."""
        return Chat(
            model=self.model,
            messages=self.messages,
            tools=self.tools,
            think=self.think,
            options=self.options,
            grammar=self.grammar(),
            logprobs=self.wanted_logprobs,
            truncate=self.truncate,
            shift=self.shift,
            keep_alive=self.seconds_to_live(),
            tool_choice=self._tool_choice(),
            strict_tools=strict_names(self.tools),
            parallel=self.parallel_tool_calls,
        )

    def _tool_choice(self) -> ToolChoice:
        """As on /v1: a word, or the tool that must be called; raises ApiError 400."""
        match self.tool_choice:
            case None | "" | "auto":
                return "auto"
            case "none":
                return "none"
            case "required":
                return "required"
            case {"type": "function", "function": {"name": str(name)}}:
                return Named(name)
        raise ApiError(400, "tool_choice must be auto, none, required, or name a function")


class ChatMessage(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What the model says."""

    role: str
    content: str
    thinking: str = ""
    tool_calls: list[ToolCall] = []


class ChatResponse(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One line of the answer; the last has `done` and the numbers."""

    model: str
    created_at: str
    message: ChatMessage
    done: bool
    done_reason: str = ""
    debug_info: inference.DebugInfo | None = msgspec.field(default=None, name="_debug_info")
    logprobs: list[inference.Logprob] = []
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0
    prompt_cached_count: int = 0
    truncated: bool = False
    prompt_submitted_count: int = 0


@blueprint.post("/api/chat")
async def chat() -> Response:
    """Answer a conversation; with no messages only load, or with keep_alive 0 unload, the model."""
    started = time.monotonic_ns()
    body = await read(ChatRequest)
    body.check()
    try:
        model = await state().catalogue.find(body.model, _ERRORS)
    except LivesElsewhere as found:
        return await _elsewhere(body, found.place)
    if not body.messages and body.seconds_to_live() == 0:
        await state().scheduler.unload(Loading(model, state().load_options).key)
        return json_response(_line(body, Output(), done=True, done_reason="unload"))
    request = chat_request(model, body.chat())
    if not body.messages:
        await request.loading.load(state().scheduler)
        return json_response(_line(body, Output(), done=True, done_reason="load"))
    if body.debug_render_only:
        info = await inference.rendered(request.loading, request.text)
        return json_response(_line(body, Output(), role="", done=False, debug_info=info))
    return await inference.respond(_lines(body, request, started), body.stream, _merge)


async def _elsewhere(body: ChatRequest, place: Place) -> Response:
    """The answer of another server; a stub's texts and options go with the question."""
    if not body.messages and body.seconds_to_live() == 0:
        return json_response(_line(body, Output(), done=True, done_reason="unload"))
    asked = msgspec.to_builtins(body) | with_texts(place, body.messages, body.options)
    return await relay(place, "/api/chat", asked, body.model)


def _lines(body: ChatRequest, request: Request, started: int) -> AsyncGenerator[ChatResponse, None]:
    def delta(part: Delta) -> ChatResponse:
        logprobs = inference.logprob_lines(part.logprobs)
        return _line(body, part.output, done=False, logprobs=logprobs)

    def done(part: Done) -> ChatResponse:
        numbers = inference.metrics(part, started)
        return _line(body, Output(), done=True, done_reason=part.finished.reason, **numbers)

    return inference.answer(request, delta, done)


def _line(
    body: ChatRequest, output: Output, *, role: str = "assistant", **fields: Any
) -> ChatResponse:
    message = ChatMessage(
        role=role,
        content=output.content,
        thinking=output.thinking,
        tool_calls=output.tool_calls,
    )
    return ChatResponse(model=body.model, created_at=timestamp(), message=message, **fields)


def _merge(lines: list[ChatResponse]) -> ChatResponse:
    last = lines[-1]
    last.message = ChatMessage(
        role=last.message.role,
        content="".join(line.message.content for line in lines),
        thinking="".join(line.message.thinking for line in lines),
        tool_calls=[call for line in lines for call in line.message.tool_calls],
    )
    last.logprobs = [logprob for line in lines for logprob in line.logprobs]
    return last
