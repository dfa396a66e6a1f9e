"""A conversation with a model on another server, its answer in the parts that our own have."""

import dataclasses
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal

import msgspec

from modelkit.serve.api.chatting import Chat, Named, ToolChoice
from modelkit.serve.api.errors import ApiError
from modelkit.serve.api.relay import refusal
from modelkit.serve.completion import Delta, Done
from modelkit.serve.output import Output
from modelkit.serve.output.calls import tool_call
from modelkit.serve.prompt import Message, conversation
from modelkit.serve.remote.places import Place
from modelkit.serve.remote.upstream import send
from modelkit.serve.types import Finished, Grammar, TokenLogprob, TopLogprob
from modelkit.templates.messages import ToolCall

_EMPTY: tuple[object, ...] = (None, "", [], {})


@dataclasses.dataclass(frozen=True)
class RemoteRequest:
    """What to ask of a model on another server: the endpoint of its native API, and the body."""

    place: Place
    path: str
    body: dict[str, Any]

    def reseeded(self, index: int) -> "RemoteRequest":
        """The same question with a fixed seed that is another one for each index."""
        options = self.body["options"]
        seed = options.get("seed", -1)
        if seed < 0 or not index:
            return self
        body = self.body | {"options": {**options, "seed": (seed + index) % 2**31}}
        return dataclasses.replace(self, body=body)

    async def parts(self) -> AsyncGenerator[Delta | Done, None]:
        """The answer as it comes, `Done` last; closing the generator ends the connection.

        Raises ApiError with the other server's status and words, 502 when there is no answer.
        """
        given = {key: value for key, value in self.body.items() if value not in _EMPTY}
        reply = await send("POST", self.place.url + self.path, msgspec.json.encode(given))
        if reply.status >= 400:
            raise await refusal(reply)
        calls = 0
        async with aclosing(reply.lines()) as lines:
            async for line in lines:
                record = _record(line)
                output = record.output(calls)
                calls += len(output.tool_calls)
                if delta := Delta(output, [item.native() for item in record.logprobs]):
                    yield delta
                if record.done:
                    yield record.end()
                    return
        raise ApiError(502, "the other server broke off its answer")


def with_texts(
    place: Place, messages: Sequence[Message], options: Mapping[str, Any]
) -> dict[str, Any]:
    """`messages` and `options` of a request, those of the stub included."""
    if place.stub is not None:
        messages = conversation(place.stub, messages) if messages else []
        options = {**place.stub.parameters, **options}
    return {"messages": [message.go_json() for message in messages], "options": options}


def remote_chat(place: Place, chat: Chat) -> RemoteRequest:
    """A conversation as /api/chat takes it."""
    body = {
        "model": place.model,
        **with_texts(place, chat.messages, chat.options),
        "tools": [_tool(tool, chat.strict_tools) for tool in chat.tools],
        "think": chat.think,
        "format": _format(chat.grammar),
        "logprobs": chat.logprobs >= 0,
        "top_logprobs": max(chat.logprobs, 0),
        "truncate": chat.truncate,
        "shift": chat.shift,
        "keep_alive": keep_alive(chat.keep_alive),
        "tool_choice": _choice(chat.tool_choice),
        "parallel_tool_calls": chat.parallel,
        "stream": True,
    }
    return RemoteRequest(place, "/api/chat", body)


def remote_prompt(
    place: Place, prompt: str, options: Mapping[str, Any], **fields: Any
) -> RemoteRequest:
    """One prompt as /api/generate takes it; the fields are its own."""
    body = {"model": place.model, "prompt": prompt, "options": options, **fields, "stream": True}
    if (stub := place.stub) is not None:
        body["options"] = {**stub.parameters, **options}
        body |= {"system": stub.system, "template": stub.template}
    return RemoteRequest(place, "/api/generate", body)


def keep_alive(seconds: float | None) -> float | None:
    """As the native API takes it: forever is a negative number."""
    return -1 if seconds == math.inf else seconds


class _Logprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] = []
    top_logprobs: list["_Logprob"] = []

    def native(self) -> TokenLogprob:
        top = [TopLogprob(item.token, item.logprob, item.bytes) for item in self.top_logprobs]
        return TokenLogprob(self.token, self.logprob, self.bytes, top)


class _Said(msgspec.Struct):
    content: str = ""
    thinking: str = ""
    tool_calls: list[ToolCall] | None = None


class _Record(msgspec.Struct):
    """A line of an answer of /api/chat or /api/generate."""

    error: str = ""
    message: _Said = msgspec.field(default_factory=_Said)
    response: str = ""
    thinking: str = ""
    logprobs: list[_Logprob] = []
    done: bool = False
    done_reason: str = ""
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0
    prompt_cached_count: int = 0
    prompt_submitted_count: int = 0

    def output(self, calls: int) -> Output:
        """What the line adds; its calls are numbered on from `calls`, and have ids."""
        found = [
            ToolCall(
                id=call.id or tool_call(call.function).id,
                function=msgspec.structs.replace(call.function, index=calls + index),
            )
            for index, call in enumerate(self.message.tool_calls or [])
        ]
        return Output(
            self.message.content + self.response, self.message.thinking + self.thinking, found
        )

    def end(self) -> Done:
        """The numbers of the last line."""
        reason: Literal["stop", "length"] = "length" if self.done_reason == "length" else "stop"
        finished = Finished(
            reason,
            prompt_tokens=self.prompt_eval_count,
            prompt_ns=self.prompt_eval_duration,
            tokens=self.eval_count,
            ns=self.eval_duration,
            context=[],
            cached_tokens=self.prompt_cached_count,
            dropped_tokens=max(self.prompt_submitted_count - self.prompt_eval_count, 0),
        )
        return Done(finished, finished, self.load_duration)


def _record(line: bytes) -> _Record:
    try:
        record = msgspec.json.decode(line, type=_Record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(502, "the other server's answer is not that of a model") from error
    if record.error:
        raise ApiError(502, record.error)
    return record


def _format(grammar: Grammar | None) -> object:
    if grammar is None:
        return None
    return "json" if grammar.kind == "json" else msgspec.Raw(grammar.source.encode())


def _choice(choice: ToolChoice) -> object:
    if isinstance(choice, Named):
        return {"type": "function", "function": {"name": choice.name}}
    return None if choice == "auto" else choice


def _tool(tool: Mapping[str, Any], strict: frozenset[str]) -> Mapping[str, Any]:
    function = tool.get("function") or {}
    if function.get("name") not in strict:
        return tool
    return {**tool, "function": {**function, "strict": True}}
