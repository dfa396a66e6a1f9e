"""What generate and chat share: the common fields of requests, their checks, parts of answers."""

import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from quart import Response

from modelkit import gojson
from modelkit.durations import keep_alive_seconds
from modelkit.model import Model
from modelkit.serve.api.errors import ApiError
from modelkit.serve.api.options import Options
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response, ndjson_response
from modelkit.serve.completion import Delta, Done, Request, complete
from modelkit.serve.loading import Loading
from modelkit.serve.prompt import Prompt
from modelkit.serve.types import Grammar, Runner, TokenLogprob

Line = TypeVar("Line")
_THINK = 'must be a boolean or string ("high", "medium", "low", "max", true, or false)'
_LEVELS = ("high", "medium", "low", "max")


class InferenceRequest(msgspec.Struct, kw_only=True):
    """The fields that /api/generate and /api/chat have in common."""

    model: str = ""
    stream: bool = True
    format: Any = None
    keep_alive: Any = None
    options: dict[str, Any] = {}
    think: Any = None
    truncate: bool = True
    shift: bool | None = None
    debug_render_only: bool = msgspec.field(default=False, name="_debug_render_only")
    logprobs: bool = False
    top_logprobs: int = 0

    def check(self) -> None:
        """What is wrong whatever the model; raises ApiError 400."""
        self.seconds_to_live()
        if self.think is not None and not isinstance(self.think, bool):
            _check_level(self.think)
        if not 0 <= self.top_logprobs <= 20:
            raise ApiError(400, "top_logprobs must be between 0 and 20")

    def seconds_to_live(self) -> float | None:
        """keep_alive in seconds, None when not given; raises UsageError."""
        return None if self.keep_alive is None else keep_alive_seconds(self.keep_alive)

    def loading(self, model: Model, options: Options) -> Loading:
        """The model this request needs loaded, and how."""
        load = options.load_options(model, state().load_options, self.shift)
        return Loading(model, load, self.seconds_to_live())

    def grammar(self) -> Grammar | None:
        """What `format` asks for: any JSON object or one by a schema; raises ApiError 400."""
        if self.format is None or self.format == "":
            return None
        if self.format == "json":
            return Grammar("json")
        if isinstance(self.format, dict):
            return Grammar("json_schema", msgspec.json.encode(self.format).decode())
        raw = json.dumps(gojson.dumps(self.format).decode(), ensure_ascii=False)
        raise ApiError(400, f'invalid format: {raw}; expected "json" or a valid JSON Schema object')

    @property
    def wanted_logprobs(self) -> int:
        """As Generation.logprobs: -1 for none."""
        return self.top_logprobs if self.logprobs else -1


class Logprob(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A token and its log probability on the wire."""

    token: str
    logprob: float
    bytes: list[int] = []
    top_logprobs: list["Logprob"] = []


class DebugInfo(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What `_debug_render_only` asks for."""

    rendered_template: str
    image_count: int = 0


def metrics(done: Done, started: int) -> dict[str, Any]:
    """The numbers of an answer whose request came at `started` (monotonic ns); durations in ns.

    Of a prompt that did not fit, prompt_eval_count is the tokens that were kept.
    """
    finished = done.finished
    dropped = finished.dropped_tokens
    return {
        "total_duration": time.monotonic_ns() - started,
        "load_duration": done.load_ns,
        "prompt_eval_count": finished.prompt_tokens,
        "prompt_eval_duration": finished.prompt_ns,
        "eval_count": finished.tokens,
        "eval_duration": finished.ns,
        "prompt_cached_count": finished.cached_tokens,
        "truncated": dropped > 0,
        "prompt_submitted_count": finished.prompt_tokens + dropped if dropped else 0,
    }


def logprob_lines(logprobs: Sequence[TokenLogprob]) -> list[Logprob]:
    """The runner's log probabilities in the API's form."""
    return [
        Logprob(
            token=item.token,
            logprob=item.logprob,
            bytes=item.bytes,
            top_logprobs=[
                Logprob(token=top.token, logprob=top.logprob, bytes=top.bytes) for top in item.top
            ],
        )
        for item in logprobs
    ]


async def rendered(loading: Loading, text: Callable[[Runner], Awaitable[Prompt]]) -> DebugInfo:
    """The prompt as the model would get it; the model is loaded for its tokenizer."""
    async with loading.lease(state().scheduler) as runner:
        return DebugInfo(rendered_template=(await text(runner)).text)


async def answer(
    request: Request, delta: Callable[[Delta], Line], done: Callable[[Done], Line]
) -> AsyncGenerator[Line, None]:
    """The lines of an answer: one for each piece, and one for the end."""
    async with aclosing(complete(state().scheduler, request)) as parts:
        async for part in parts:
            yield delta(part) if isinstance(part, Delta) else done(part)


async def respond(
    lines: AsyncGenerator[Any, None], stream: bool, merge: Callable[[list[Any]], object]
) -> Response:
    """The lines one by one, or all of them merged into one body."""
    if stream:
        return await ndjson_response(lines)
    return json_response(merge([line async for line in lines]))


def _check_level(think: object) -> None:
    if not isinstance(think, str):
        raise ApiError(400, f"think {_THINK}")
    if think not in _LEVELS:
        raise ApiError(
            400,
            f'invalid think value: "{think}"'
            ' (must be "high", "medium", "low", "max", true, or false)',
        )
