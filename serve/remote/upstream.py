"""Requests to other servers, whose answers are read as they come."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import urllib3
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from modelkit.errors import AuthError
from modelkit.registry.auth.key_challenge import key_paths, sign_text
from modelkit.registry.http.connections import new_manager, proxy_for
from modelkit.registry.http.transport import USER_AGENT
from modelkit.serve.api.errors import ApiError
from modelkit.serve.remote.places import is_cloud
from modelkit.settings import flag
from modelkit.version import __version__

MAX_BODY = 64 << 20
"""Bytes of an answer that is taken as a whole, and of one line of a stream."""

_PATIENCE = 600.0
_CHUNK = 1 << 16


class Unsigned(ApiError):
    """There is no key to sign a request with."""

    def __init__(self) -> None:
        super().__init__(401, "unauthorized", "start `modelkit serve` once: it makes the key")


@dataclass(frozen=True)
class Reply:
    """The other server's answer, its body unread."""

    status: int
    content_type: str
    _response: BaseHTTPResponse

    @property
    def headers(self) -> Mapping[str, str]:
        """All headers; one that came several times is in the items as often."""
        return self._response.headers

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes; closing the generator ends the connection.

        Raises ApiError 502 when it breaks off.
        """
        try:
            while chunk := await asyncio.to_thread(self._response.read1, _CHUNK):
                yield chunk
        except (HTTPError, OSError, ValueError) as error:
            raise ApiError(502, "the other server broke off its answer") from error
        finally:
            _hang_up(self._response)

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """The lines of the body; raises ApiError 502."""
        rest = b""
        async with aclosing(self.chunks()) as chunks:
            async for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in filter(None, lines):
                    yield line
                if len(rest) > MAX_BODY:
                    raise ApiError(502, "the other server's answer has no end")
        if rest:
            yield rest

    async def body(self) -> bytes:
        """The whole body; raises ApiError 502."""
        body = bytearray()
        async with aclosing(self.chunks()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > MAX_BODY:
                    raise ApiError(502, "the other server's answer has no end")
        return bytes(body)


async def send(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    key: str | None = None,
    patience: float = _PATIENCE,
) -> Reply:
    """One request, no redirects followed; the other side may be silent for `patience` seconds.

    It carries the `key` for that server; without one it is signed for the cloud, or for everyone
    with MODELKIT_AUTH. Raises Unsigned, or ApiError 502 when nobody answers.
    """
    work = asyncio.get_running_loop().run_in_executor(
        None, _open, method, url, body, dict(headers or {}), key, patience
    )
    try:
        response = await asyncio.shield(work)
    except asyncio.CancelledError:
        work.add_done_callback(_discard)
        raise
    except AuthError as error:
        raise Unsigned from error
    except (HTTPError, OSError) as error:
        raise ApiError(502, f"{urlsplit(url).netloc} does not answer") from error
    return Reply(response.status, response.headers.get("Content-Type", ""), response)


def _open(
    method: str,
    url: str,
    body: bytes | None,
    headers: dict[str, str],
    key: str | None,
    patience: float,
) -> BaseHTTPResponse:
    parts = urlsplit(url)
    if key:
        headers["Authorization"] = f"Bearer {key}"
    elif is_cloud(url) or flag("AUTH"):
        stamp = f"ts={int(time.time())}"
        url = f"{url}{'&' if parts.query else '?'}{stamp}"
        query = f"{parts.query}&{stamp}" if parts.query else stamp
        signed = f"{method},{parts.path}?{query}"
        headers["Authorization"] = sign_text(signed, parts.netloc, key_paths())
    given: dict[str, Any] = {
        "User-Agent": USER_AGENT,
        "Content-Type": "application/json",
        **headers,
        "X-Ollama-Client-Version": __version__,
    }
    manager = new_manager(parts.scheme, proxy_for(parts.scheme, parts.netloc), public_only=False)
    return manager.request(
        method,
        url,
        body=body,
        headers=given,
        preload_content=False,
        redirect=False,
        retries=False,
        timeout=urllib3.Timeout(connect=10.0, read=patience),
    )


def _hang_up(response: BaseHTTPResponse) -> None:
    # Shutting down wakes a thread that still waits for data; closing alone would not.
    with suppress(ValueError, RuntimeError, OSError):  # already read to its end, and hung up
        cast(urllib3.HTTPResponse, response).shutdown()
    response.close()


def _discard(work: "asyncio.Future[BaseHTTPResponse]") -> None:
    if not work.cancelled() and work.exception() is None:
        _hang_up(work.result())
