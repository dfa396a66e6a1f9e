"""/v1/responses: answer, look up, list the input of, and forget responses."""

from quart import Response, request

from modelkit.serve.api.asking import ask, ours, parts_of
from modelkit.serve.api.errors import ApiError
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response
from modelkit.serve.completion import Done, Request
from modelkit.serve.openai.errors import (
    NAMES,
    FieldError,
    error_body,
    openai_blueprint,
    unsupported,
)
from modelkit.serve.openai.reader import read
from modelkit.serve.openai.responses.answer import Parts, ResponseAnswer, counting
from modelkit.serve.openai.responses.body import ResponseBody
from modelkit.serve.openai.responses.items import read_input
from modelkit.serve.openai.responses.store import Item, ResponseStore, Turn, response_store
from modelkit.serve.openai.sse import sse_response
from modelkit.serve.remote.answers import RemoteRequest
from modelkit.serve.remote.passing import cloud_first
from modelkit.serve.scheduling.scheduler import Scheduler
from modelkit.serve.types import Finished

blueprint = openai_blueprint("responses")

_PAGE = 20
_MOST_PAGE = 100


@blueprint.post("/v1/responses")
@cloud_first
async def create() -> Response:
    """Answer the input, after the conversation of `previous_response_id`."""
    body = await read(ResponseBody)
    body.check()
    store = response_store()
    earlier = _earlier(store, body)
    items = read_input(body.input, store.item)
    chat = body.chat([*earlier, *items])
    asked, count = counting(await ask(chat, NAMES))
    told = bool(chat.messages) or isinstance(asked, RemoteRequest)
    parts = parts_of(asked) if told else _loaded(state().scheduler, ours(asked))
    answer = ResponseAnswer(
        body, asked, count, lambda response: store.add(Turn(response, items, earlier))
    )
    if body.stream:
        return await sse_response(answer.frames(parts), error_body)
    return json_response(await answer.whole(parts))


@blueprint.post("/v1/responses/input_tokens")
async def count_input() -> Response:
    """How many tokens the prompt of such a request has; nothing is generated."""
    body = await read(ResponseBody)
    body.check()
    store = response_store()
    items = [*_earlier(store, body), *read_input(body.input, store.item)]
    asked = ours(await ask(body.chat(items), NAMES))
    async with asked.loading.lease(state().scheduler) as runner:
        prompt = await asked.text(runner)
        tokens = await runner.tokenize(prompt.text)
    return json_response({"object": "response.input_tokens", "input_tokens": len(tokens)})


@blueprint.get("/v1/responses/<name>")
async def retrieve(name: str) -> Response:
    """A response that was kept."""
    if request.args.get("stream", "false") != "false":
        raise unsupported("stream", "is for responses in the background, which there are none of")
    return json_response(_kept(name).response)


@blueprint.delete("/v1/responses/<name>")
async def delete(name: str) -> Response:
    """Forget a response; those that continue it keep what was said."""
    if not response_store().delete(name):
        raise _missing(name)
    return json_response({"id": name, "object": "response", "deleted": True})


@blueprint.post("/v1/responses/<name>/cancel")
async def cancel(name: str) -> Response:
    """Always refused: a response that was kept is no longer being made."""
    _kept(name)
    raise ApiError(400, "Only responses in the background can be cancelled.")


@blueprint.get("/v1/responses/<name>/input_items")
async def input_items(name: str) -> Response:
    """The items of a response's own input, a page at a time, the last first unless asked."""
    items = _kept(name).input
    order = request.args.get("order", "desc")
    if order not in ("asc", "desc"):
        raise FieldError("order", "'order' must be 'asc' or 'desc'", "invalid_value")
    if order == "desc":
        items.reverse()
    limit, rest = _limit(), _after(items)
    page = rest[:limit]
    return json_response(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(rest) > limit,
        }
    )


async def _loaded(scheduler: Scheduler, asked: Request) -> Parts:
    """The answer to nothing: only the model is loaded."""
    load_ns = await asked.loading.load(scheduler)
    nothing = Finished("stop", prompt_tokens=0, prompt_ns=0, tokens=0, ns=0, context=[])
    yield Done(nothing, nothing, load_ns)


def _earlier(store: ResponseStore, body: ResponseBody) -> list[Item]:
    name = body.previous_response_id
    if not name:
        return []
    turn = store.get(name)
    if turn is None:
        text = f"Previous response with id '{name}' not found."
        raise FieldError("previous_response_id", text, "previous_response_not_found")
    return turn.conversation


def _kept(name: str) -> Turn:
    turn = response_store().get(name)
    if turn is None:
        raise _missing(name)
    return turn


def _missing(name: str) -> ApiError:
    return ApiError(404, f"Response with id '{name}' not found.")


def _limit() -> int:
    text = request.args.get("limit", str(_PAGE))
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    if not 1 <= limit <= _MOST_PAGE:
        raise FieldError("limit", f"'limit' must be between 1 and {_MOST_PAGE}", "invalid_value")
    return limit


def _after(items: list[Item]) -> list[Item]:
    """The items behind the one that `after` names."""
    name = request.args.get("after")
    if name is None:
        return items
    places = [place for place, item in enumerate(items) if item["id"] == name]
    if not places:
        raise FieldError("after", f"no item with id '{name}' in this input", "invalid_value")
    return items[places[0] + 1 :]
