"""What is known of every request: its id, its line in the log, its place in the metrics."""

import logging
import re
import secrets
from time import perf_counter

from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)

from modelkit.serve.exchange import Exchange, begin
from modelkit.serve.logs import fields
from modelkit.serve.metrics import IN_PROGRESS, REQUEST_SECONDS, REQUESTS
from modelkit.serve.middleware.tracing import Tracer

_log = logging.getLogger("modelkit.access")

_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_LONGEST_PATH = 200
_CLIENT_GONE = 499
"""The status of a request whose client left before there was one, as nginx has it."""


class Observer:
    """Gives each request an id (X-Request-Id, in and out), and notes how it ended.

    Must be the outermost, so that refused requests are seen too.
    """

    def __init__(self, app: ASGIFramework, tracer: Tracer | None = None) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """ASGI entry point."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        watched = _Watched(scope, send)
        begin(watched.exchange)
        IN_PROGRESS.inc()
        try:
            await self._app(scope, receive, watched)
        except Exception:
            watched.status = watched.status or 500
            raise
        finally:
            IN_PROGRESS.dec()
            watched.note(self._tracer)


class _Watched:
    """The way out of one answer, which sees its status and whether it came to its end."""

    def __init__(self, scope: HTTPScope, send: ASGISendCallable) -> None:
        self.exchange = Exchange(_request_id(scope))
        self.status = 0
        self._complete = False
        self._scope = scope
        self._send = send
        self._started = perf_counter()

    async def __call__(self, event: ASGISendEvent) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]
            event["headers"] = [*event["headers"], (b"x-request-id", self.exchange.id.encode())]
        elif event["type"] == "http.response.body" and not event["more_body"]:
            self._complete = True
        await self._send(event)

    def note(self, tracer: Tracer | None) -> None:
        """One line in the log, the counts, and a span."""
        seconds = perf_counter() - self._started
        status = self.status or _CLIENT_GONE
        route = self.exchange.route or "other"
        REQUESTS.labels(route, status).inc()
        REQUEST_SECONDS.labels(route).observe(seconds)
        if _log.isEnabledFor(logging.INFO):
            self._log(status, seconds)
        if tracer:
            tracer.note(self._scope, self.exchange, status, seconds)

    def _log(self, status: int, seconds: float) -> None:
        """Neither the query nor a body: they hold what people ask."""
        scope, client = self._scope, self._scope["client"]
        path = scope["raw_path"].partition(b"?")[0].decode("latin1")
        known = fields(
            method=scope["method"],
            path=path[:_LONGEST_PATH],
            status=status,
            ms=round(seconds * 1000, 1),
            client=client[0] if client else "",
            key=self.exchange.key,
            model=self.exchange.model,
            cut="" if self._complete else "yes",
        )
        _log.info("request", extra=known)


def _request_id(scope: HTTPScope) -> str:
    """The client's, if it can stand in a header and a log, else a new one."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode() if _ID.fullmatch(given) else secrets.token_hex(12)
