"""POST /api/generate: continue one prompt."""

import time
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from quart import Blueprint, Response

from modelkit.model import Model
from modelkit.serve.api import inference
from modelkit.serve.api.abilities import require, require_no_images
from modelkit.serve.api.codec import timestamp
from modelkit.serve.api.errors import ApiError, NameErrors
from modelkit.serve.api.options import Options
from modelkit.serve.api.reader import read
from modelkit.serve.api.relay import relay
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response
from modelkit.serve.completion import Delta, Done, Request
from modelkit.serve.loading import Loading
from modelkit.serve.output import answer_format
from modelkit.serve.prompt import (
    Ask,
    Message,
    Prompt,
    conversation,
    prompt_text,
    require_template,
    thinks,
)
from modelkit.serve.remote.places import LivesElsewhere, Place
from modelkit.serve.types import Runner

blueprint = Blueprint("generate", __name__)

_ERRORS = NameErrors(404, "model '' not found")


class GenerateRequest(inference.InferenceRequest, kw_only=True):
    """The body of /api/generate."""

    prompt: str = ""
    suffix: str = ""
    system: str = ""
    template: str = ""
    context: list[int] = msgspec.field(default_factory=list)
    raw: bool = False
    images: list[str] = msgspec.field(default_factory=list)


class GenerateResponse(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One line of the answer; the last has `done` and the numbers."""

    model: str
    created_at: str
    response: str
    thinking: str = ""
    done: bool
    done_reason: str = ""
    context: list[int] = []
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0
    debug_info: inference.DebugInfo | None = msgspec.field(default=None, name="_debug_info")
    logprobs: list[inference.Logprob] = []
    prompt_cached_count: int = 0
    truncated: bool = False
    prompt_submitted_count: int = 0


@blueprint.post("/api/generate")
async def generate() -> Response:
    """Answer a prompt; with an empty one only load, or with keep_alive 0 unload, the model."""
    started = time.monotonic_ns()
    body = await read(GenerateRequest)
    body.check()
    try:
        model = await state().catalogue.find(body.model, _ERRORS)
    except LivesElsewhere as found:
        return await _elsewhere(body, found.place)
    if not body.prompt and body.seconds_to_live() == 0:
        await state().scheduler.unload(Loading(model, state().load_options).key)
        return json_response(_line(body, "", done=True, done_reason="unload"))
    _check(model, body)
    options = Options.merge(model, body.options)
    options.report_ignored()
    loading = body.loading(model, options)
    if not body.prompt:
        await loading.load(state().scheduler)
        return json_response(_line(body, "", done=True, done_reason="load"))
    request = _request(model, body, options, loading)
    if body.debug_render_only:
        info = await inference.rendered(loading, request.text)
        return json_response(_line(body, "", done=False, debug_info=info))
    return await inference.respond(_lines(body, request, started), body.stream, _merge)


async def _elsewhere(body: GenerateRequest, place: Place) -> Response:
    """The answer of another server; a stub's texts and options go with the question."""
    asked = msgspec.to_builtins(body)
    if (stub := place.stub) is not None:
        asked["options"] = {**stub.parameters, **body.options}
        if not body.raw:
            asked["system"] = body.system or stub.system
            asked["template"] = body.template or stub.template
    return await relay(place, "/api/generate", asked, body.model)


def _check(model: Model, body: GenerateRequest) -> None:
    if "image" in model.capabilities():
        raise ApiError(400, "image generation models are not currently supported")
    if body.raw and (body.template or body.system or body.context):
        raise ApiError(400, "raw mode does not support template, system, or context")
    require(model, body.model, body.think, "generate")
    require_no_images(model, body.model, [Message(images=body.images)])
    if body.suffix and "insert" not in model.capabilities():
        raise ApiError(400, f"{model.name.full} does not support insert")
    if not body.raw:
        require_template(model, body.template or None)


def _request(model: Model, body: GenerateRequest, options: Options, loading: Loading) -> Request:
    async def raw(_: Runner) -> Prompt:
        return Prompt(body.prompt)

    messages = conversation(
        model,
        [Message(role="user", content=body.prompt)],
        system=body.system,
        history=not body.context,
    )
    # A template of the request's own sees every message, and an insertion has only one.
    fitted = body.truncate and not body.template and not body.suffix
    return Request(
        loading=loading,
        text=raw
        if body.raw
        else prompt_text(
            model,
            messages,
            ask=Ask(think=body.think, template=body.template or None, suffix=body.suffix),
            num_ctx=loading.options.num_ctx if fitted else None,
        ),
        sampling=options.sampling,
        context=body.context,
        logprobs=body.wanted_logprobs,
        truncate=body.truncate,
        grammar=body.grammar(),
        format=answer_format(model, think=bool(thinks(model, body.think))),
    )


def _lines(
    body: GenerateRequest, request: Request, started: int
) -> AsyncGenerator[GenerateResponse, None]:
    def delta(part: Delta) -> GenerateResponse:
        return _line(
            body,
            part.output.content,
            thinking=part.output.thinking,
            done=False,
            logprobs=inference.logprob_lines(part.logprobs),
        )

    def done(part: Done) -> GenerateResponse:
        return _line(
            body,
            "",
            done=True,
            done_reason=part.finished.reason,
            context=[] if body.raw else part.finished.context,
            **inference.metrics(part, started),
        )

    return inference.answer(request, delta, done)


def _line(body: GenerateRequest, response: str, **fields: Any) -> GenerateResponse:
    return GenerateResponse(model=body.model, created_at=timestamp(), response=response, **fields)


def _merge(lines: list[GenerateResponse]) -> GenerateResponse:
    last = lines[-1]
    last.response = "".join(line.response for line in lines)
    last.thinking = "".join(line.thinking for line in lines)
    last.logprobs = [logprob for line in lines for logprob in line.logprobs]
    return last
