"""The HTTP application: routes, error bodies and what every request passes through."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import quote

from quart import Quart, Response, current_app, request
from quart.routing import QuartRule
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from modelkit.asgi.body import BoundedBody, BoundedConnection, BoundedRequest
from modelkit.errors import ModelkitError
from modelkit.serve import anthropic, openapi
from modelkit.serve.api import (
    account,
    blobs,
    chat,
    create,
    embed,
    generate,
    health,
    models,
    ps,
    recommendations,
    rerank,
    show,
    status,
    transfer,
    web,
)
from modelkit.serve.api.errors import body_of, status_of
from modelkit.serve.api.state import State, attach, default_scheduler, state, state_of
from modelkit.serve.api.stream import INTERNAL_ERROR, json_response
from modelkit.serve.exchange import current
from modelkit.serve.keys import KeyFile
from modelkit.serve.middleware.access import require_keys
from modelkit.serve.middleware.cors import Cors, allowed_origins
from modelkit.serve.middleware.host import HostCheck
from modelkit.serve.middleware.observer import Observer
from modelkit.serve.middleware.pacing import Pacing
from modelkit.serve.middleware.tracing import Tracer, tracer
from modelkit.serve.openai import chat as openai_chat
from modelkit.serve.openai import completions as openai_completions
from modelkit.serve.openai import embeddings as openai_embeddings
from modelkit.serve.openai import models as openai_models
from modelkit.serve.openai.responses import routes as responses
from modelkit.serve.scheduling.scheduler import Scheduler
from modelkit.settings import setting
from modelkit.store import Store

_log = logging.getLogger(__name__)

_GROUPS = (
    status,
    health,
    models,
    show,
    ps,
    blobs,
    create,
    transfer,
    generate,
    chat,
    embed,
    rerank,
    account,
    web,
    recommendations,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_models,
    anthropic,
    responses,
    openapi,
)


class _ExactRule(QuartRule):
    """A route answers the verbs it lists; werkzeug would add HEAD to every GET."""

    def __init__(self, string: str, **options: Any) -> None:
        super().__init__(string, **options)
        self.methods = {verb.upper() for verb in options.get("methods") or ()}


class _App(Quart):
    asgi_http_class = BoundedConnection
    request_class = BoundedRequest
    url_rule_class = _ExactRule  # type: ignore[assignment]


def create_app(
    store: Store,
    *,
    scheduler: Scheduler | None = None,
    origins: str | None = None,
    loopback: bool = True,
    keys: KeyFile | None = None,
) -> Quart:
    """The model API over a store.

    The application closes its scheduler when it shuts down. `origins` are the web origins allowed
    besides the local ones, separated by commas (default: MODELKIT_ORIGINS). `loopback` says that
    the server is bound to a loopback address, so that the Host header is checked. `keys` are the
    API keys of which every request must carry one; None lets everybody in.

    Raises UsageError for an origin that is none.
    """
    app = _App("modelkit", static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=None,  # blobs have no limit; reader.py limits JSON
        RESPONSE_TIMEOUT=None,
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    app.url_map.merge_slashes = False
    attach(app, State(store, scheduler or default_scheduler()))
    for group in _GROUPS:
        app.register_blueprint(group.blueprint)
    _handle_errors(app)
    app.before_request(_note_route)
    if keys is not None:
        require_keys(app, keys)
    app.after_request(_release_body)
    spans = tracer()
    app.before_serving(_prepare(app))
    app.after_serving(_close(app, spans))
    paced = Pacing(app.asgi_app)
    guarded = HostCheck(paced) if loopback else paced
    allowed = allowed_origins(setting("ORIGINS") if origins is None else origins)
    app.asgi_app = Observer(Cors(guarded, allowed), spans)  # type: ignore[method-assign]
    return app


def _handle_errors(app: Quart) -> None:
    @app.errorhandler(ModelkitError)
    async def failed(error: ModelkitError) -> Response:
        return json_response(body_of(error), status_of(error))

    @app.errorhandler(HTTPException)
    async def refused(error: HTTPException) -> Response:
        if isinstance(error, NotFound):
            return _without_slash() or _text(404, "404 page not found")
        if isinstance(error, MethodNotAllowed):
            allow = ", ".join(sorted(error.valid_methods or ()))
            return _text(405, "405 method not allowed", Allow=allow)
        return json_response({"error": error.description or error.name}, error.code or 500)

    @app.errorhandler(Exception)
    async def crashed(error: Exception) -> Response:
        _log.error("%s %s failed", request.method, request.path, exc_info=error)
        return json_response(INTERNAL_ERROR, 500)


def _without_slash() -> Response | None:
    """The redirect of a known path that was written with a slash at its end."""
    path = request.path.removesuffix("/")
    adapter = current_app.create_url_adapter(request)
    if path == request.path or adapter is None or not adapter.test(path, request.method):
        return None
    query = request.query_string.decode("latin1")
    location = quote(path) + (f"?{query}" if query else "")
    return Response(
        "", status=301 if request.method == "GET" else 307, headers={"Location": location}
    )


def _text(status: int, text: str, **headers: str) -> Response:
    return Response(text, status=status, content_type="text/plain", headers=headers)


async def _note_route() -> None:
    exchange = current()
    if exchange and request.url_rule:
        exchange.route = request.url_rule.rule


async def _release_body(response: Response) -> Response:
    # The receiver must not wait for a reader any more; see modelkit/asgi/body.py.
    cast(BoundedBody, request.body).release()
    return response


def _prepare(app: Quart) -> Callable[[], Awaitable[None]]:
    async def prepare() -> None:
        state_of(app).scheduler.prepare(delay=0.0)

    return prepare


def _close(app: Quart, spans: Tracer | None) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        async with app.app_context():
            await state().scheduler.close()
        if spans:
            await asyncio.to_thread(spans.close)

    return close
