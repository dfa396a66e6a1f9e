"""/api/web_search and /api/web_fetch: what the web has on a question, and one of its pages."""

import asyncio

import msgspec
from quart import Blueprint, Response, current_app

from modelkit.serve.api.errors import ApiError
from modelkit.serve.api.reader import read
from modelkit.serve.api.stream import json_response
from modelkit.serve.web.reading import AT_ONCE, read_page
from modelkit.serve.web.search import search

blueprint = Blueprint("web", __name__)

MAX_RESULTS = 10
_RESULTS = 5
_KEY = "modelkit.pages"


class SearchRequest(msgspec.Struct, kw_only=True):
    """What to search the web for, and how many results at most."""

    query: str = ""
    max_results: int = _RESULTS


class FetchRequest(msgspec.Struct, kw_only=True):
    """The address of a page."""

    url: str = ""


@blueprint.post("/api/web_search")
@blueprint.post("/api/experimental/web_search")
async def web_search() -> Response:
    """Search the web with the server that is configured; its refusals are passed on."""
    body = await read(SearchRequest)
    if not body.query.strip():
        raise ApiError(400, "query is required")
    if not 1 <= body.max_results <= MAX_RESULTS:
        raise ApiError(400, f"max_results must be from 1 to {MAX_RESULTS}")
    found = await search(body.query, body.max_results)
    return Response(found.body, status=found.status, headers=found.headers)


@blueprint.post("/api/web_fetch")
@blueprint.post("/api/experimental/web_fetch")
async def web_fetch() -> Response:
    """Read a web page: its title, its text as Markdown, and where its links lead."""
    body = await read(FetchRequest)
    return json_response(await read_page(body.url, _room()))


def _room() -> asyncio.Semaphore:
    """What lets so many pages be read at once."""
    room: asyncio.Semaphore = current_app.extensions.setdefault(_KEY, asyncio.Semaphore(AT_ONCE))
    return room
