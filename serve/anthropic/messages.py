"""POST /v1/messages and /v1/messages/count_tokens."""

from contextlib import aclosing

from quart import Blueprint, Response

from modelkit.serve.anthropic.answer import message
from modelkit.serve.anthropic.errors import handle_errors
from modelkit.serve.anthropic.events import events
from modelkit.serve.anthropic.prompt import CountedPrompt
from modelkit.serve.anthropic.reader import read
from modelkit.serve.anthropic.request import CountRequest, MessagesRequest
from modelkit.serve.anthropic.sse import sse_response
from modelkit.serve.api.asking import Asked, ask, ours, parts_of
from modelkit.serve.api.errors import NameErrors
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response
from modelkit.serve.completion import Delta, Request
from modelkit.serve.output import Output
from modelkit.serve.remote.passing import cloud_first

blueprint = Blueprint("anthropic", __name__)
handle_errors(blueprint)

_ERRORS = NameErrors(400, "model is required")


@blueprint.post("/v1/messages")
@cloud_first
async def messages() -> Response:
    """The next message of a conversation, whole or as events."""
    body = await read(MessagesRequest)
    body.check()
    asked = await ask(body.chat(), _ERRORS, relaxed=True)
    if not body.stream:
        return json_response(await _whole(body, asked))
    prompt = CountedPrompt()
    counted = prompt.of(asked) if isinstance(asked, Request) else asked
    return await sse_response(events(body, parts_of(counted), prompt))


@blueprint.post("/v1/messages/count_tokens")
async def count_tokens() -> Response:
    """How many tokens the prompt of such a request has."""
    body = await read(CountRequest)
    body.check()
    prompt = CountedPrompt()
    request = prompt.of(ours(await ask(body.chat(), _ERRORS, relaxed=True)))
    async with request.loading.lease(state().scheduler) as runner:
        await request.text(runner)
    return json_response({"input_tokens": prompt.tokens})


async def _whole(body: MessagesRequest, asked: Asked) -> dict[str, object]:
    outputs: list[Output] = []
    async with aclosing(parts_of(asked)) as parts:
        async for part in parts:
            if isinstance(part, Delta):
                outputs.append(part.output)
            else:
                done = part
    return message(body, outputs, done.whole)
