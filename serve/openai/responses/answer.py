"""A response while it comes into being, whole or as events."""

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import msgspec

from modelkit.errors import ModelkitError
from modelkit.serve.api.asking import Asked
from modelkit.serve.api.errors import status_of
from modelkit.serve.api.stream import INTERNAL_ERROR
from modelkit.serve.completion import Delta, Done
from modelkit.serve.openai.responses.body import ResponseBody
from modelkit.serve.openai.responses.items import new_id
from modelkit.serve.openai.responses.output import Event, OutputItems
from modelkit.serve.openai.responses.text import TextConfig
from modelkit.serve.openai.sse import frame
from modelkit.serve.prompt import Prompt
from modelkit.serve.remote.answers import RemoteRequest
from modelkit.serve.types import Finished, Runner, Sampling

_log = logging.getLogger(__name__)

_SHOWN = ("temperature", "top_p", "presence_penalty", "frequency_penalty")

Parts = AsyncGenerator[Delta | Done, None]
Keep = Callable[[dict[str, Any]], bool]
"""Keeps a response; False when it cannot be kept."""
Count = Callable[[str], Awaitable[int]]
"""The tokens of a text."""


def counting(request: Asked) -> tuple[Asked, Count]:
    """The request, and who counts tokens with its runner while it is answered.

    What another server thought cannot be counted here, and is nothing.
    """
    runners: list[Runner] = []

    async def count(said: str) -> int:
        known = said and runners
        return len(await runners[-1].tokenize(said, add_special=False)) if known else 0

    if isinstance(request, RemoteRequest):
        return request, count

    async def text(runner: Runner) -> Prompt:
        runners.append(runner)
        return await request.text(runner)

    return replace(request, text=text), count


class ResponseAnswer:
    """The response to one request; `keep` gets it when it is complete.

    count: the tokens of a text, asked for the thoughts.
    """

    def __init__(self, body: ResponseBody, request: Asked, count: Count, keep: Keep) -> None:
        self._count, self._keep = count, keep
        self._output = OutputItems()
        self._line = _line(body, request)

    async def whole(self, parts: Parts) -> dict[str, Any]:
        """The response with all parts; raises what they raise."""
        async with aclosing(self._events(parts)) as events:
            async for _ in events:
                pass
        return self._line

    async def frames(self, parts: Parts) -> AsyncGenerator[bytes, None]:
        """The response as server-sent events.

        Raises what the first part raises; a later failure is the last event.
        """
        number = 0
        try:
            async with aclosing(self._events(parts)) as events:
                async for event in events:
                    yield frame({**event, "sequence_number": number}, event["type"])
                    number += 1
        except Exception as error:
            if not number:
                raise
            failed = self._failed(error)
            yield frame({**failed, "sequence_number": number}, failed["type"])

    async def _events(self, parts: Parts) -> AsyncGenerator[Event, None]:
        async with aclosing(parts):
            first = await anext(parts)
            for kind in ("response.created", "response.in_progress"):
                yield {"type": kind, "response": self._line}
            for event in await self._taken(first):
                yield event
            async for part in parts:
                for event in await self._taken(part):
                    yield event
        self._line["store"] = self._line["store"] and self._keep(self._line)
        yield {"type": f"response.{self._line['status']}", "response": self._line}

    async def _taken(self, part: Delta | Done) -> Iterator[Event]:
        if isinstance(part, Delta):
            return self._output.take(part.output, part.logprobs)
        usage = _usage(part.whole, await self._count(self._output.thoughts))
        cut = part.finished.reason == "length"
        status = "incomplete" if cut else "completed"
        events = list(self._output.finish(status))
        self._line |= {
            "status": status,
            "completed_at": None if cut else int(time.time()),
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "output": self._output.items,
            "usage": usage,
        }
        return iter(events)

    def _failed(self, error: Exception) -> Event:
        message = INTERNAL_ERROR["error"]
        if isinstance(error, ModelkitError):
            message = error.message
        else:
            _log.error("a response failed", exc_info=error)
        self._line |= {
            "status": "failed",
            "output": self._output.items,
            "error": {"code": _code(error), "message": message},
            "store": False,
        }
        return {"type": "response.failed", "response": self._line}


def _code(error: Exception) -> str:
    known = isinstance(error, ModelkitError) and status_of(error) == 400
    return "invalid_prompt" if known else "server_error"


def _usage(finished: Finished, thought: int) -> dict[str, Any]:
    known: dict[str, int] = {"cached_tokens": finished.cached_tokens, "cache_write_tokens": 0}
    if finished.dropped_tokens:
        known["dropped_tokens"] = finished.dropped_tokens
    return {
        "input_tokens": finished.prompt_tokens,
        "input_tokens_details": known,
        "output_tokens": finished.tokens,
        "output_tokens_details": {"reasoning_tokens": min(thought, finished.tokens)},
        "total_tokens": finished.prompt_tokens + finished.tokens,
    }


def _sampling(request: Asked) -> Sampling:
    """The numbers in force; of another server's those that it is asked for."""
    if isinstance(request, RemoteRequest):
        options = request.body["options"]
        return Sampling(**{name: options[name] for name in _SHOWN if name in options})
    return request.sampling(request.loading.options.num_ctx)


def _line(body: ResponseBody, request: Asked) -> dict[str, Any]:
    """The response before the answer."""
    sampling = _sampling(request)
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": None,
        "status": "in_progress",
        "incomplete_details": None,
        "model": body.name,
        "previous_response_id": body.previous_response_id,
        "instructions": body.instructions or None,
        "output": [],
        "error": None,
        "tools": body.tools or [],
        "tool_choice": body.tool_choice or "auto",
        "truncation": "auto" if body.truncates else "disabled",
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "text": (body.text or TextConfig()).line(),
        "top_p": sampling.top_p,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "top_logprobs": body.top_logprobs or 0,
        "temperature": sampling.temperature,
        "reasoning": msgspec.to_builtins(body.reasoning) if body.reasoning else None,
        "usage": None,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "store": body.stored,
        "background": False,
        "service_tier": "default",
        "metadata": body.metadata or {},
        "safety_identifier": body.safety_identifier,
        "prompt_cache_key": body.prompt_cache_key,
        "user": body.user,
    }
