"""Searching the web: at the server that the operator chose, in the form of Ollama's API."""

import asyncio
from typing import Protocol
from urllib.parse import urlencode, urlsplit

import msgspec

from modelkit.serve.api.errors import ApiError
from modelkit.serve.api.stream import JSON
from modelkit.serve.remote.places import DISABLED, cloud_url
from modelkit.serve.remote.upstream import Reply, send
from modelkit.settings import setting

PATIENCE = 30.0
"""Seconds that a search may take."""

_HINT = (
    "set MODELKIT_SEARXNG_URL to the address of a SearXNG, or MODELKIT_WEB_SEARCH_URL to a server "
    "with Ollama's search (https://ollama.com) and MODELKIT_WEB_SEARCH_KEY to the key for it"
)
_NO_JSON = "SearXNG answers in JSON only when its settings.yml has json in search.formats"


class Result(msgspec.Struct, kw_only=True):
    """One result of a search; `content` is what the page is about, in a few lines."""

    title: str
    url: str
    content: str


class Results(msgspec.Struct, kw_only=True):
    """The results of a search, the best first."""

    results: list[Result]


class Found(msgspec.Struct, frozen=True):
    """A search server's answer in Ollama's form, or its refusal in its own words."""

    status: int
    headers: dict[str, str]
    body: bytes


class Provider(Protocol):
    """A server that searches the web."""

    async def search(self, query: str, limit: int) -> Found:
        """At most `limit` results; raises ApiError."""


async def search(query: str, limit: int) -> Found:
    """Ask the server that is configured.

    Raises ApiError: 403 when none is, 502 when it does not answer, 504 after PATIENCE, and what
    a SearXNG refuses with.
    """
    provider = _provider()
    try:
        async with asyncio.timeout(PATIENCE):
            return await provider.search(query, limit)
    except TimeoutError:
        raise ApiError(504, f"the search took longer than {PATIENCE:g} seconds") from None


def _provider() -> Provider:
    if url := _address("SEARXNG_URL"):
        return _Searxng(url)
    if url := _address("WEB_SEARCH_URL"):
        return _Upstream(url, setting("WEB_SEARCH_KEY"))
    if cloud := cloud_url():
        return _Upstream(cloud, None)
    raise ApiError(403, DISABLED.format(what="web search", verb="is"), _HINT)


def _address(name: str) -> str | None:
    url = (setting(name) or "").rstrip("/")
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
        raise ApiError(500, f"MODELKIT_{name} is not a web address", "write http://HOST:PORT")
    return url or None


class _Upstream:
    """A server with Ollama's own endpoint: its answer is passed on as it is."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url = f"{url}/api/web_search"
        self._key = key

    async def search(self, query: str, limit: int) -> Found:
        asked = msgspec.json.encode({"query": query, "max_results": limit})
        reply = await send("POST", self._url, asked, key=self._key, patience=PATIENCE)
        body = await _body(reply)
        headers = {"Content-Type": reply.content_type or JSON}
        if wait := reply.headers.get("Retry-After"):
            headers["Retry-After"] = wait
        return Found(reply.status, headers, body)


class _SearxngResult(msgspec.Struct):
    url: str | None = None
    title: str | None = None
    content: str | None = None


class _SearxngAnswer(msgspec.Struct):
    results: list[_SearxngResult]


class _Searxng:
    """A SearXNG: a search engine that asks others, run by the operator or somebody they trust."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/search"

    async def search(self, query: str, limit: int) -> Found:
        asked = urlencode({"q": query, "format": "json"})
        reply = await send("GET", f"{self._url}?{asked}", patience=PATIENCE)
        body = await _body(reply)
        if reply.status != 200:
            hint = _NO_JSON if reply.status == 403 else None
            raise ApiError(reply.status, f"SearXNG refuses the search: {reply.status}", hint)
        try:
            answer = msgspec.json.decode(body, type=_SearxngAnswer)
        except msgspec.DecodeError as error:
            raise ApiError(502, "SearXNG's answer cannot be read", _NO_JSON) from error
        results = [_result(each) for each in answer.results if each.url][:limit]
        return Found(200, {"Content-Type": JSON}, msgspec.json.encode(Results(results=results)))


def _result(found: _SearxngResult) -> Result:
    return Result(title=found.title or "", url=found.url or "", content=found.content or "")


async def _body(reply: Reply) -> bytes:
    body = await reply.body()
    if 300 <= reply.status < 400:
        raise ApiError(502, "the search server redirects", "set the address it redirects to")
    return body
