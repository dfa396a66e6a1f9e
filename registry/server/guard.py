"""What every request must pass: its Host, its Origin, its credentials."""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from quart import Request, Response, request

from modelkit.registry.server.access import (
    PULL,
    PUSH,
    TOKEN_LIFETIME,
    Accounts,
    Tokens,
    parse_scopes,
)
from modelkit.registry.server.answers import OCIError, base_url, json_answer

_READING = frozenset({"GET", "HEAD"})
SERVICE = "modelkit"


@dataclass
class Guard:
    """The access rules of one registry; without accounts everybody may do everything."""

    accounts: Accounts | None = None
    anonymous_pull: bool = False
    bearer: bool = False
    hosts: Collection[str] = ()
    tokens: Tokens = field(default_factory=Tokens)

    async def check(self, repository: str | None) -> None:
        """Let the current request pass or raise OCIError (401, 403)."""
        self._check_origin()
        if self.accounts is None:
            return
        action = PULL if request.method in _READING else PUSH
        header = request.headers.get("Authorization", "")
        kind, _, value = header.partition(" ")
        if kind.lower() == "basic":
            allowed = await self._check_basic()
            if action not in allowed and repository is not None:
                raise OCIError(403, "DENIED", "this account may only pull")
        elif kind.lower() == "bearer" and self.bearer:
            self._check_token(value.strip(), repository, action)
        elif not (self.anonymous_pull and repository is not None and action == PULL):
            raise self._challenge(repository, action, "authentication required")

    async def issue_token(self) -> Response:
        """The token endpoint: Basic credentials in, a token for the scopes asked for out."""
        if self.accounts is None or not self.bearer:
            raise OCIError(404, "UNSUPPORTED", "this registry issues no tokens")
        self._check_origin()
        name, allowed = "", frozenset({PULL}) if self.anonymous_pull else frozenset[str]()
        if request.authorization is not None:
            name, allowed = request.authorization.username or "", await self._check_basic()
        elif not self.anonymous_pull:
            raise self._unauthorized(f'Basic realm="{SERVICE}"', "authentication required")
        access = {
            repository: tuple(action for action in actions if action in allowed)
            for repository, actions in parse_scopes(request.args.getlist("scope")).items()
        }
        now = time.time()
        token = self.tokens.issue(name, access, now)
        issued = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        answer = {"token": token, "access_token": token, "expires_in": TOKEN_LIFETIME}
        return json_answer({**answer, "issued_at": issued}, headers={"Cache-Control": "no-store"})

    async def _check_basic(self) -> frozenset[str]:
        given = request.authorization
        if self.accounts is None or given is None or given.type != "basic":
            raise self._unauthorized(f'Basic realm="{SERVICE}"', "authentication required")
        name, password = given.username or "", (given.password or "").encode()
        if not await asyncio.to_thread(self.accounts.check, name, password):
            raise self._unauthorized(f'Basic realm="{SERVICE}"', "wrong name or password")
        return self.accounts.actions(name)

    def _check_token(self, token: str, repository: str | None, action: str) -> None:
        grant = self.tokens.read(token)
        if grant is None:
            raise self._challenge(repository, action, "the token is not valid")
        if repository is not None and not grant.allows(repository, action):
            raise self._challenge(repository, action, "the token does not allow this")

    def _challenge(self, repository: str | None, action: str, message: str) -> OCIError:
        if not self.bearer:
            return self._unauthorized(f'Basic realm="{SERVICE}"', message)
        challenge = f'Bearer realm="{base_url()}/token",service="{SERVICE}"'
        if repository is not None:
            actions = PULL if action == PULL else f"{PULL},{PUSH}"
            challenge += f',scope="repository:{repository}:{actions}"'
        return self._unauthorized(challenge, message)

    @staticmethod
    def _unauthorized(challenge: str, message: str) -> OCIError:
        return OCIError(401, "UNAUTHORIZED", message, headers={"WWW-Authenticate": challenge})

    def _check_origin(self) -> None:
        """Keep web pages out: they send an Origin, and after DNS rebinding a foreign Host.

        No registry client sends an Origin. A server on a loopback address is not meant to be
        called by a public name, unless `hosts` lists it.
        """
        if "Origin" in request.headers:
            raise OCIError(403, "DENIED", "requests from web pages are refused")
        host = _hostname(request)
        known = _is_own_name(host) or host in self.hosts
        if _arrived_on_loopback(request) and not known:
            raise OCIError(403, "DENIED", f"this registry is not called {host[:100]!r}")


def _hostname(current: Request) -> str:
    host = current.host.lower()
    if host.startswith("["):
        return host.partition("]")[0].removeprefix("[")
    return host.partition(":")[0]


def _arrived_on_loopback(current: Request) -> bool:
    server = current.scope.get("server")
    address = _address(server[0]) if server else None
    return address is not None and address.is_loopback


def _is_own_name(host: str) -> bool:
    """Whether no stranger can make DNS answer for this name: localhost, an address, our name."""
    local = host == "localhost" or host.endswith(".localhost")
    return local or host == socket.gethostname().lower() or _address(host) is not None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
