"""POST /v1/messages and /v1/messages/count_tokens."""

import asyncio
import dataclasses
from contextlib import aclosing

from quart import Blueprint, Response

from modelkit.serve.anthropic.answer import message
from modelkit.serve.anthropic.errors import handle_errors
from modelkit.serve.anthropic.events import events
from modelkit.serve.anthropic.prompt import CountedPrompt
from modelkit.serve.anthropic.reader import read
from modelkit.serve.anthropic.request import CountRequest, MessagesRequest
from modelkit.serve.anthropic.sse import sse_response
from modelkit.serve.api.chatting import Chat, chat_request
from modelkit.serve.api.errors import NameErrors
from modelkit.serve.api.names import find
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response
from modelkit.serve.completion import Delta, Request, complete
from modelkit.serve.output import Output

blueprint = Blueprint("anthropic", __name__)
handle_errors(blueprint)

_ERRORS = NameErrors(400, "model is required")


@blueprint.post("/v1/messages")
async def messages() -> Response:
    """The next message of a conversation, whole or as events."""
    body = await read(MessagesRequest)
    body.check()
    request = await _request(body.chat())
    if not body.stream:
        return json_response(await _whole(body, request))
    prompt = CountedPrompt(request.text)
    parts = complete(state().scheduler, dataclasses.replace(request, text=prompt))
    return await sse_response(events(body, parts, prompt))


@blueprint.post("/v1/messages/count_tokens")
async def count_tokens() -> Response:
    """How many tokens the prompt of such a request has."""
    body = await read(CountRequest)
    body.check()
    request = await _request(body.chat())
    prompt = CountedPrompt(request.text)
    async with request.loading.lease(state().scheduler) as runner:
        await prompt(runner)
    return json_response({"input_tokens": prompt.tokens})


async def _request(chat: Chat) -> Request:
    """What the model must do; one that cannot think is not asked to."""
    model = await asyncio.to_thread(find, state().store, chat.model, _ERRORS)
    if "thinking" not in model.capabilities():
        chat = dataclasses.replace(chat, think=None)
    return chat_request(model, chat)


async def _whole(body: MessagesRequest, request: Request) -> dict[str, object]:
    outputs: list[Output] = []
    async with aclosing(complete(state().scheduler, request)) as parts:
        async for part in parts:
            if isinstance(part, Delta):
                outputs.append(part.output)
            else:
                done = part
    return message(body, outputs, done.whole)
