"""Requests for models of Ollama's cloud, which go there as they are but for the model's name."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import wraps

import msgspec
from quart import Response, request

from modelkit.serve.api.names import cloud_name
from modelkit.serve.api.reader import peek_bytes
from modelkit.serve.api.state import state
from modelkit.serve.remote.places import require_cloud
from modelkit.serve.remote.upstream import Reply, send

View = Callable[[], Awaitable[Response]]

# What concerns one connection alone (RFC 9110, section 7.6.1), and what each side writes itself.
_OWN = {
    *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
    *("upgrade", "content-length", "date", "server", "x-request-id"),
}
# The credentials of our clients are none of the cloud's; a body that was packed is not any more.
_OURS = {
    *("host", "origin", "accept-encoding", "content-encoding", "authorization"),
    *("proxy-authorization", "x-api-key", "cookie", "traceparent", "tracestate"),
}
_THEIRS = {"set-cookie", "proxy-authenticate", "vary"}


class _Named(msgspec.Struct):
    model: str = ""


def cloud_first(view: View) -> View:
    """A route whose requests for models of the cloud are passed on before anything is checked."""

    @wraps(view)
    async def passing() -> Response:
        body = await peek_bytes()
        base = await asyncio.to_thread(cloud_name, state().store, _name(body))
        if base is None:
            return await view()
        return await pass_on(require_cloud("remote model") + request.path, _renamed(body, base))

    return passing


async def pass_on(url: str, body: bytes | None = None) -> Response:
    """This request's answer by another server, status and headers included, as it comes.

    Raises Unsigned, ApiError 502.
    """
    if query := request.query_string.decode("latin1"):
        url = f"{url}?{query}"
    sent = _kept(request.headers.items(), _OURS)
    return await _passed(await send(request.method, url, body, dict(sent)))


async def _passed(reply: Reply) -> Response:
    chunks = reply.chunks()
    response = Response(chunks, status=reply.status)
    response.timeout = None
    response.headers.clear()
    for name, value in _kept(reply.headers.items(), _THEIRS):
        if not name.lower().startswith("access-control-"):
            response.headers.add(name, value)
    return response


def _kept(headers: Iterable[tuple[str, str]], without: set[str]) -> list[tuple[str, str]]:
    """Headers that go on to the other side: neither `without` nor of one connection alone."""
    found = list(headers)
    named = {
        word.strip().lower()
        for name, value in found
        if name.lower() == "connection"
        for word in value.split(",")
    }
    dropped = _OWN | without | named
    return [(name, value) for name, value in found if name.lower() not in dropped]


def _name(body: bytes) -> str:
    """The model that a body names; nothing for what is no such body."""
    try:
        return msgspec.json.decode(body, type=_Named).model
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def _renamed(body: bytes, model: str) -> bytes:
    """The body with another model; every other value keeps its bytes."""
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**fields, "model": model})
