"""Which scope each route needs, and whether the caller's API key has it."""

from quart import Quart, Response, request

from modelkit.serve.api.errors import ApiError
from modelkit.serve.exchange import current
from modelkit.serve.keys import KeyFile, Scope

_HINT = (
    "send it as `Authorization: Bearer KEY` or `x-api-key: KEY`; `modelkit key create` makes one"
)

OPEN = frozenset({"/", "/healthz", "/readyz"})
"""What load balancers and clients ask before they have a key."""
_SCOPES: dict[str, Scope] = {
    "/api/generate": "infer",
    "/api/chat": "infer",
    "/api/embed": "infer",
    "/api/embeddings": "infer",
    "/api/rerank": "infer",
    "/api/web_search": "infer",
    "/api/web_fetch": "infer",
    "/api/experimental/web_search": "infer",
    "/api/experimental/web_fetch": "infer",
    "/api/tags": "read",
    "/api/show": "read",
    "/api/ps": "read",
    "/api/version": "read",
    "/api/status": "read",
    "/api/me": "read",
    "/v1/models": "read",
    "/v1/models/<path:model>": "read",
    "/v1/models/<model>": "read",
    "/metrics": "read",
    "/openapi.json": "read",
    "/docs": "read",
}


def scope_of(rule: str) -> Scope | None:
    """The scope that a route needs, None for none; admin for whatever no line above names."""
    if rule in OPEN:
        return None
    return _SCOPES.get(rule) or ("infer" if rule.startswith("/v1/") else "admin")


def require_keys(app: Quart, keys: KeyFile) -> None:
    """Refuse requests without a key (401) or with one that lacks the scope (403).

    The refusal is an ApiError, so each API words it in its own way.
    """

    @app.before_request
    async def check() -> None:
        # A path that no route has gets its 404 or 405: there is nothing behind it.
        if request.url_rule and (scope := scope_of(request.url_rule.rule)):
            _check(keys, scope)

    @app.after_request
    async def challenge(response: Response) -> Response:
        if response.status_code == 401:
            response.headers.setdefault("WWW-Authenticate", "Bearer")
        return response


def _check(keys: KeyFile, scope: Scope) -> None:
    given = _given()
    if not given:
        raise ApiError(401, "this server needs an API key", hint=_HINT)
    key = next(filter(None, map(keys.find, given)), None)
    if key is None:
        raise ApiError(401, "this API key is not valid", hint=_HINT)
    if exchange := current():
        exchange.key = key.name
    if not key.allows(scope):
        raise ApiError(403, f"the API key {key.name!r} lacks the scope {scope!r}")


def _given() -> list[str]:
    """The keys that the request carries; clients of two APIs may send one each."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    bearer = token.strip() if kind.lower() == "bearer" else ""
    return [key for key in (bearer, request.headers.get("X-Api-Key", "").strip()) if key]
