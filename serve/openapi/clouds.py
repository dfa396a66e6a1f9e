"""The operations of OpenAI's and Anthropic's APIs, and the types of their answers."""

from typing import Any, Literal

import msgspec

from modelkit.serve.anthropic.request import CountRequest, MessagesRequest
from modelkit.serve.anthropic.tools import Tool
from modelkit.serve.openai.chat import ChatBody
from modelkit.serve.openai.completions import TextBody
from modelkit.serve.openai.embeddings import EmbeddingBody
from modelkit.serve.openai.messages import ChatMessage
from modelkit.serve.openai.responses.body import ResponseBody
from modelkit.serve.openapi.operation import MODEL, SSE, Operation


class TokenUsage(msgspec.Struct, kw_only=True):
    """What an answer took, in tokens."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int | msgspec.UnsetType = msgspec.UNSET
    prompt_tokens_details: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


class Choice(msgspec.Struct, kw_only=True):
    """One of the answers to a conversation."""

    index: int
    message: dict[str, Any]
    finish_reason: str | None
    logprobs: dict[str, Any] | None = None


class ChatCompletion(msgspec.Struct, kw_only=True):
    """The answers to a conversation."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[Choice]
    usage: TokenUsage


class ChunkChoice(msgspec.Struct, kw_only=True):
    """What a frame adds to one of the answers."""

    index: int
    delta: dict[str, Any]
    finish_reason: str | None
    logprobs: dict[str, Any] | None = None


class ChatCompletionChunk(msgspec.Struct, kw_only=True):
    """One frame of a stream; the last is the text `[DONE]`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: TokenUsage | None = None


class TextChoice(msgspec.Struct, kw_only=True):
    """One continuation of a prompt."""

    text: str
    index: int
    logprobs: dict[str, Any] | None
    finish_reason: str | None


class TextCompletion(msgspec.Struct, kw_only=True):
    """The continuations of prompts, or one frame of their stream."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[TextChoice]
    usage: TokenUsage | None = None


class EmbeddingLine(msgspec.Struct, kw_only=True):
    """A vector: numbers, or little-endian float32 in base64."""

    object: Literal["embedding"]
    embedding: list[float] | str
    index: int


class EmbeddingList(msgspec.Struct, kw_only=True):
    """The vectors of the inputs, in their order."""

    object: Literal["list"]
    data: list[EmbeddingLine]
    model: str
    usage: TokenUsage


class ModelLine(msgspec.Struct, kw_only=True):
    """A model in the store."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(msgspec.Struct, kw_only=True):
    """The models in the store."""

    object: Literal["list"]
    data: list[ModelLine]


class ResponseLine(msgspec.Struct, kw_only=True):
    """A response: its items, and everything that was in force while it was made."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    model: str
    output: list[dict[str, Any]]
    error: dict[str, Any] | None
    incomplete_details: dict[str, Any] | None
    usage: dict[str, Any] | None
    previous_response_id: str | None
    instructions: str | None
    store: bool


class ResponseEvent(msgspec.Struct, kw_only=True):
    """One frame of a stream."""

    type: str
    sequence_number: int


class ResponseTokens(msgspec.Struct, kw_only=True):
    """The length of a prompt."""

    object: Literal["response.input_tokens"]
    input_tokens: int


class Deleted(msgspec.Struct, kw_only=True):
    """A response that is forgotten."""

    id: str
    object: Literal["response"]
    deleted: bool


class ItemPage(msgspec.Struct, kw_only=True):
    """Some of a response's input items."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class MessageLine(msgspec.Struct, kw_only=True):
    """What the model said, why it ended and what it took."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: str | None
    stop_sequence: str | None
    usage: dict[str, Any]


class MessageEvent(msgspec.Struct, kw_only=True):
    """One frame of a stream."""

    type: str


class TokenCount(msgspec.Struct, kw_only=True):
    """The length of a prompt."""

    input_tokens: int


def _openai(verb: str, rule: str, failures: tuple[int, ...] = (500,), **more: Any) -> Operation:
    return Operation(verb, rule, "openai", failures=failures, stream_media=SSE, **more)


def _anthropic(rule: str, **more: Any) -> Operation:
    return Operation("POST", rule, "anthropic", failures=MODEL, stream_media=SSE, **more)


_TOOLS = {"tools": list[Tool] | None}
_KEPT = (400, 404, 500)
_PAGE = (("order", Literal["asc", "desc"]), ("limit", int), ("after", str))

OPERATIONS = (
    _openai(
        "POST",
        "/v1/chat/completions",
        MODEL,
        body=ChatBody,
        required=("model", "messages"),
        parts={"messages": list[ChatMessage]},
        answer=ChatCompletion,
        line=ChatCompletionChunk,
        end="[DONE]",
    ),
    _openai(
        "POST",
        "/v1/completions",
        MODEL,
        body=TextBody,
        required=("model",),
        parts={"prompt": str | list[str | int | list[int]] | None},
        answer=TextCompletion,
        line=TextCompletion,
        end="[DONE]",
    ),
    _openai(
        "POST",
        "/v1/embeddings",
        MODEL,
        body=EmbeddingBody,
        required=("model", "input"),
        parts={"input": str | list[str]},
        answer=EmbeddingList,
    ),
    _openai("GET", "/v1/models", answer=ModelList),
    _openai("GET", "/v1/models/<path:model>", (400, 404, 500), answer=ModelLine),
    _openai(
        "POST",
        "/v1/responses",
        MODEL,
        body=ResponseBody,
        required=("model",),
        parts={"input": str | list[dict[str, Any]] | None},
        answer=ResponseLine,
        line=ResponseEvent,
    ),
    _openai(
        "POST",
        "/v1/responses/input_tokens",
        MODEL,
        body=ResponseBody,
        required=("model",),
        parts={"input": str | list[dict[str, Any]] | None},
        answer=ResponseTokens,
    ),
    _openai("GET", "/v1/responses/<name>", _KEPT, answer=ResponseLine, query=(("stream", bool),)),
    _openai("DELETE", "/v1/responses/<name>", _KEPT, answer=Deleted),
    _openai("POST", "/v1/responses/<name>/cancel", _KEPT, successes=()),
    _openai("GET", "/v1/responses/<name>/input_items", _KEPT, answer=ItemPage, query=_PAGE),
    _anthropic(
        "/v1/messages",
        body=MessagesRequest,
        required=("model", "messages", "max_tokens"),
        parts=_TOOLS,
        answer=MessageLine,
        line=MessageEvent,
    ),
    _anthropic(
        "/v1/messages/count_tokens",
        body=CountRequest,
        required=("model", "messages"),
        parts=_TOOLS,
        answer=TokenCount,
    ),
)
