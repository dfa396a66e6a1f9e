"""POST /v1/completions: texts that continue prompts."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from quart import Response

from modelkit.model import Model
from modelkit.serve.api.asking import Asked, ours
from modelkit.serve.api.inference import rendered
from modelkit.serve.api.options import Options
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response
from modelkit.serve.loading import Loading
from modelkit.serve.openai.body import MOST_CHOICES, CompletionBody
from modelkit.serve.openai.choices import answers, variants
from modelkit.serve.openai.errors import (
    NAMES,
    FieldError,
    error_body,
    openai_blueprint,
    unsupported,
)
from modelkit.serve.openai.prompts import Continuation, TextPrompt, read_prompts
from modelkit.serve.openai.reader import read
from modelkit.serve.openai.sse import DONE, frame, sse_response
from modelkit.serve.openai.text_answer import TextAnswer
from modelkit.serve.remote.answers import keep_alive, remote_prompt
from modelkit.serve.remote.passing import cloud_first
from modelkit.serve.remote.places import LivesElsewhere, Place

blueprint = openai_blueprint("completions")


class TextBody(CompletionBody, forbid_unknown_fields=True, kw_only=True):
    """Every field of OpenAI's; a prompt of token ids is read as it is, without the template."""

    prompt: Any = None
    suffix: str | None = None
    echo: bool | None = None
    best_of: int | None = None
    logprobs: int | None = None

    def check(self) -> None:
        """Raise FieldError for what cannot be honoured."""
        self.check_think()
        if self.best_of not in (None, self.choices):
            raise unsupported("best_of", "must be equal to 'n'")
        if self.echo and self.logprobs is not None:
            raise unsupported("echo", "cannot be used with 'logprobs': prompts have none here")
        if self.logprobs is not None and not 0 <= self.logprobs <= 20:
            raise FieldError("logprobs", "logprobs must be between 0 and 20", "invalid_value")

    def prompts(self) -> list[TextPrompt]:
        """What to continue, none for a request that only loads the model; raises FieldError."""
        prompts = read_prompts(self.prompt)
        if len(prompts) * self.choices > MOST_CHOICES:
            text = f"'prompt' must not ask for more than {MOST_CHOICES} answers at once"
            raise FieldError("prompt", text, "invalid_value")
        if self.suffix and any(prompt.tokens for prompt in prompts):
            raise unsupported("suffix", "needs prompts that are text")
        return prompts

    def continuation(self, model: Model) -> Continuation:
        """How to continue them; unknown options are named in a header of the answer."""
        options = Options.merge(model, self.model_options())
        options.report_ignored()
        load = options.load_options(model, state().load_options, None)
        return Continuation(
            model=model,
            name=self.name,
            loading=Loading(model, load, self.seconds_to_live()),
            sampling=options.sampling,
            suffix=self.suffix or "",
            think=self.think,
            logprobs=-1 if self.logprobs is None else self.logprobs,
            truncate=bool(self.truncate),
        )

    def remote(self, place: Place, prompts: Sequence[TextPrompt]) -> list[Asked]:
        """The prompts for a model on another server; raises FieldError for tokens."""
        if any(prompt.tokens for prompt in prompts):
            raise unsupported("prompt", "must be text for a model on another server")
        return [
            remote_prompt(
                place,
                prompt.text,
                self.model_options(),
                suffix=self.suffix,
                think=self.think,
                logprobs=self.logprobs is not None,
                top_logprobs=self.logprobs or 0,
                truncate=bool(self.truncate),
                keep_alive=keep_alive(self.seconds_to_live()),
            )
            for prompt in prompts
        ]


@blueprint.post("/v1/completions")
@cloud_first
async def completions() -> Response:
    """Continue each prompt, `n` times; with an empty one only load the model."""
    body = await read(TextBody)
    body.check()
    prompts, number, usage = body.prompts(), body.choices, body.include_usage
    try:
        model = await state().catalogue.find(body.name, NAMES)
    except LivesElsewhere as found:
        prompts = prompts or [TextPrompt()]
        requests: list[Asked] = body.remote(found.place, prompts)
    else:
        continuation = body.continuation(model)
        continuation.check()
        if not prompts:
            await continuation.loading.load(state().scheduler)
            return await _loaded(body)
        requests = [continuation.request(prompt) for prompt in prompts]
    answer = TextAnswer(body.name, prompts, number, echo=bool(body.echo))
    if body.debug_render_only:
        first = ours(requests[0])
        info = await rendered(first.loading, first.text)
        return json_response(answer.whole() | {"_debug_info": info})
    parts = answers([each for request in requests for each in variants(request, number)])
    if body.stream:
        return await sse_response(answer.frames(parts, include_usage=usage), error_body)
    await answer.take(parts)
    return json_response(answer.whole())


async def _loaded(body: TextBody) -> Response:
    """What there is to say when the model was only loaded."""
    answer = TextAnswer(body.name, [TextPrompt()], body.choices, echo=False)
    answer.end("load")
    if not body.stream:
        return json_response(answer.whole())

    async def frames() -> AsyncGenerator[bytes, None]:
        yield frame(answer.whole())
        yield DONE

    return await sse_response(frames(), error_body)
