"""Whom a conversation is held with: a runner of our own, or another server."""

from collections.abc import AsyncGenerator
from dataclasses import replace

from modelkit.model import Model
from modelkit.serve.api.chatting import Chat, chat_request
from modelkit.serve.api.errors import ApiError, NameErrors
from modelkit.serve.api.state import state
from modelkit.serve.completion import Delta, Done, Request, complete
from modelkit.serve.remote.answers import RemoteRequest, remote_chat
from modelkit.serve.remote.places import LivesElsewhere

Asked = Request | RemoteRequest


async def ask(chat: Chat, errors: NameErrors, *, relaxed: bool = False) -> Asked:
    """What is asked of whom; raises as `find` and `chat_request`.

    relaxed: a model that cannot think is not asked to.
    """
    try:
        model = await state().catalogue.find(chat.model, errors)
    except LivesElsewhere as found:
        stub = found.place.stub
        return remote_chat(found.place, _relaxed(stub, chat) if relaxed and stub else chat)
    return chat_request(model, _relaxed(model, chat) if relaxed else chat)


def _relaxed(model: Model, chat: Chat) -> Chat:
    if not chat.think or "thinking" in model.capabilities():
        return chat
    return replace(chat, think=None)


def parts_of(asked: Asked) -> AsyncGenerator[Delta | Done, None]:
    """The answer as it comes."""
    if isinstance(asked, RemoteRequest):
        return asked.parts()
    return complete(state().scheduler, asked)


def ours(asked: Asked) -> Request:
    """What a runner of our own is asked; raises ApiError 501 for anything else."""
    if isinstance(asked, RemoteRequest):
        raise ApiError(501, "the prompt of a model on another server is not known here")
    return asked
