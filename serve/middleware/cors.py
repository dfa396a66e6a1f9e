"""Cross-origin requests: which web pages may call the API."""

from collections.abc import Sequence

from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)

from modelkit.errors import UsageError

_LOCAL = ("localhost", "127.0.0.1", "0.0.0.0")  # noqa: S104 - origins, not addresses to bind
_APPS = ("app://*", "file://*", "tauri://*", "vscode-webview://*", "vscode-file://*")
DEFAULT_ORIGINS = (
    *(
        f"{scheme}://{host}{port}"
        for host in _LOCAL
        for scheme in ("http", "https")
        for port in ("", ":*")
    ),
    *_APPS,
)
_SCHEMES = (
    "http://",
    "https://",
    "chrome-extension://",
    "safari-extension://",
    "moz-extension://",
    "ms-browser-extension://",
)
_METHODS = "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"
_STAINLESS = (
    "Arch",
    "Async",
    "Custom-Poll-Interval",
    "Helper-Method",
    "Lang",
    "Os",
    "Package-Version",
    "Poll-Helper",
    "Retry-Count",
    "Runtime",
    "Runtime-Version",
    "Timeout",
)
_HEADERS = ",".join(
    (
        "Authorization",
        "Content-Type",
        "User-Agent",
        "Accept",
        "X-Requested-With",
        "Openai-Beta",
        "X-Api-Key",
        "X-Request-Id",
        "Anthropic-Version",
        "Anthropic-Beta",
        *(f"X-Stainless-{name}" for name in _STAINLESS),
    )
)


def allowed_origins(extra: str | None) -> tuple[str, ...]:
    """The comma-separated origins of the setting, then the defaults; raises UsageError."""
    origins = tuple(part.strip() for part in (extra or "").split(",") if part.strip())
    for origin in origins:
        if origin.count("*") > 1 or ("*" not in origin and not origin.startswith(_SCHEMES)):
            raise UsageError(
                f"MODELKIT_ORIGINS: {origin!r} is not an origin",
                hint="write http://host, https://host, a browser extension's, or one * as wildcard",
            )
    return origins + DEFAULT_ORIGINS


class Cors:
    """Refuses foreign origins (403), answers preflights, marks the answers of allowed origins."""

    def __init__(self, app: ASGIFramework, origins: Sequence[str]) -> None:
        self._app = app
        self._everyone = "*" in origins
        self._exact = frozenset(origin for origin in origins if "*" not in origin)
        self._wild = [tuple(origin.split("*")) for origin in origins if "*" in origin]

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """ASGI entry point."""
        origin = _header(scope, b"origin") if scope["type"] in ("http", "websocket") else ""
        if not origin or origin in (f"{s}://{_header(scope, b'host')}" for s in ("http", "https")):
            await self._app(scope, receive, send)
        elif not self.allows(origin):
            await _answer(send, 403, [])
        elif scope["type"] == "http" and scope["method"] == "OPTIONS":
            await _answer(send, 204, self._preflight(origin))
        else:
            await self._app(scope, receive, self._marked(send, origin))

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may call."""
        if self._everyone or origin in self._exact:
            return True
        return any(
            len(origin) >= len(start) + len(end)
            and origin.startswith(start)
            and origin.endswith(end)
            for start, end in self._wild
        )

    def _allow(self, origin: str) -> list[tuple[bytes, bytes]]:
        if self._everyone:
            return [(b"access-control-allow-origin", b"*")]
        return [(b"access-control-allow-origin", origin.encode("latin1")), (b"vary", b"Origin")]

    def _preflight(self, origin: str) -> list[tuple[bytes, bytes]]:
        return [
            *self._allow(origin),
            (b"vary", b"Access-Control-Request-Method"),
            (b"vary", b"Access-Control-Request-Headers"),
            (b"access-control-allow-methods", _METHODS.encode()),
            (b"access-control-allow-headers", _HEADERS.encode()),
            (b"access-control-max-age", b"43200"),
        ]

    def _marked(self, send: ASGISendCallable, origin: str) -> ASGISendCallable:
        async def marked(event: ASGISendEvent) -> None:
            if event["type"] == "http.response.start":
                event["headers"] = [*event["headers"], *self._allow(origin)]
            await send(event)

        return marked


def _header(scope: Scope, name: bytes) -> str:
    if scope["type"] not in ("http", "websocket"):
        return ""
    return next((value.decode("latin1") for key, value in scope["headers"] if key == name), "")


async def _answer(send: ASGISendCallable, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
