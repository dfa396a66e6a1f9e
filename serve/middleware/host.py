"""The Host header check: a web page cannot reach a local server through a name it controls."""

import ipaddress
import socket

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from modelkit.registry.http.public import is_own

_SUFFIXES = (".localhost", ".local", ".internal")


class HostCheck:
    """Refuses (403) a Host that no address of this machine could have.

    Meant for a server bound to a loopback address; one that is bound wider expects any name.
    """

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app
        self._names = {"", "localhost", socket.gethostname().lower()}

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """ASGI entry point."""
        if scope["type"] in ("http", "websocket") and not self.allows(_host(scope)):
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await self._app(scope, receive, send)

    def allows(self, host: str) -> bool:
        """Whether a Host header, with or without a port, may name this server."""
        name = _without_port(host.strip()).lower()
        if name in self._names or name.endswith(_SUFFIXES):
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or address.is_private or address.is_unspecified or is_own(name)


def _host(scope: Scope) -> str:
    if scope["type"] not in ("http", "websocket"):
        return ""
    return next((value.decode("latin1") for key, value in scope["headers"] if key == b"host"), "")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    head, colon, _ = host.rpartition(":")
    return head if colon and ":" not in head else host
