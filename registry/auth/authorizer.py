"""Answering a registry's 401: Basic, bearer tokens, and the key challenge of Ollama's registry."""

import base64
import json
import re
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from modelkit.errors import AuthError
from modelkit.registry.auth import credentials as docker
from modelkit.registry.auth.credentials import Credentials
from modelkit.registry.auth.key_challenge import key_paths, sign_request
from modelkit.registry.http.answer import failure, read_body
from modelkit.registry.http.transport import Transport, origin

_PARAMETER = re.compile(r'([a-zA-Z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_TOKEN_LIMIT = 1024 * 1024
_CLIENT_ID = "modelkit"
_HUB_REALM = "auth.docker.io"
_OLLAMA_DOMAINS = (".ollama.ai", ".ollama.com")


@dataclass(frozen=True)
class Challenge:
    """One WWW-Authenticate challenge: its scheme in lower case and its parameters."""

    scheme: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, header: str) -> "Challenge":
        """Read one header line, `Bearer realm="…",service="…",scope="…"`."""
        scheme, _, rest = header.strip().partition(" ")
        found = _PARAMETER.findall(rest)
        return cls(scheme.lower(), {key.lower(): quoted or bare for key, quoted, bare in found})

    def get(self, name: str) -> str:
        """A parameter's value, or nothing."""
        return self.parameters.get(name, "")


class Authorizer:
    """Holds the Authorization for one registry host and renews it when the host objects.

    The credentials configured for the registry go to its own origin, and to the token server it
    names only where `may_send` allows; a token goes to the registry alone. Safe to share between
    threads.
    """

    def __init__(
        self,
        base: str,
        transport: Transport,
        credentials: Credentials | None = None,
        keys: Iterable[Path] | None = None,
    ) -> None:
        """`base` is the registry's own URL, `keys` the key files Ollama's registry may know."""
        self._base = base
        self._host = urlsplit(base).netloc
        self._transport = transport
        self._given = credentials
        self._keys = key_paths() if keys is None else tuple(keys)
        self._authorization: str | None = None
        self._lock = threading.Lock()

    def header(self, url: str) -> str | None:
        """The Authorization value for a request to `url`: none for any other origin."""
        return self._authorization if origin(url) == origin(self._base) else None

    def renew(self, challenges: Iterable[str], used: str | None) -> None:
        """Answer the challenges of a 401 to a request that carried `used`; raises AuthError.

        Returns when another try is worth it, also because another thread renewed meanwhile.
        """
        with self._lock:
            if self._authorization != used:
                return
            parsed = {item.scheme: item for item in map(Challenge.parse, challenges)}
            if "bearer" in parsed:
                self._authorization = "Bearer " + self._token(parsed["bearer"])
            elif "basic" in parsed:
                self._authorization = self._basic(used)
            else:
                raise AuthError(f"unauthorized: {self._host} names no way to sign in we know")

    def _credentials(self) -> Credentials | None:
        return self._given or docker.find(self._host)

    def _basic(self, used: str | None) -> str:
        found = self._credentials()
        if found is None or found.basic == used:
            raise denied(self._host, found)
        return found.basic

    def _token(self, challenge: Challenge) -> str:
        realm = challenge.get("realm")
        if urlsplit(realm).scheme not in ("http", "https"):
            raise AuthError(f"{self._host} names a token server that is no web address: {realm!r}")
        found = self._realm_credentials(realm)
        if found is not None and found.identity_token:
            answer = self._post_identity(challenge, found)
        elif found is not None:
            answer = self._get(_token_url(challenge), found.basic, found)
        else:
            answer = self._without_password(challenge)
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str):
            raise AuthError(f"{realm} answered without a token")
        return token

    def _realm_credentials(self, realm: str) -> Credentials | None:
        netloc = urlsplit(realm).netloc.rpartition("@")[2]
        if netloc.lower() != self._host.lower():
            own = docker.find(netloc)
            if own is not None:
                return own
        found = self._credentials()
        if found is not None and not may_send(self._base, realm):
            raise AuthError(
                f"{self._host} asks to send its password to another host, {netloc}: refused",
                hint=f"if you trust {netloc}, run `modelkit login {netloc}`",
            )
        return found

    def _without_password(self, challenge: Challenge) -> dict[str, Any]:
        """An anonymous token, or one for our key; Ollama's registry is shown the key first."""
        ways = [self._anonymous, self._signed]
        if self._host.lower().endswith(_OLLAMA_DOMAINS):
            ways.reverse()
        try:
            return ways[0](challenge)
        except AuthError as first:
            try:
                return ways[1](challenge)
            except AuthError:
                raise first from None

    def _anonymous(self, challenge: Challenge) -> dict[str, Any]:
        return self._get(_token_url(challenge), None, None)

    def _signed(self, challenge: Challenge) -> dict[str, Any]:
        realm = urlsplit(challenge.get("realm")).netloc
        if realm != self._host:
            raise AuthError(f'realm host "{realm}" does not match original host "{self._host}"')
        stamp = {"ts": str(int(time.time())), "nonce": _nonce()}
        url = _token_url(challenge, stamp)
        return self._get(url, sign_request(url, self._keys), None)

    def _get(self, url: str, authorization: str | None, user: Credentials | None) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if authorization is not None:
            headers["Authorization"] = authorization
        response = self._transport.send("GET", url, headers=headers)
        return self._read_token(response, url, user)

    def _post_identity(self, challenge: Challenge, user: Credentials) -> dict[str, Any]:
        realm = challenge.get("realm")
        form = {
            "grant_type": "refresh_token",
            "service": challenge.get("service"),
            "scope": challenge.get("scope"),
            "client_id": _CLIENT_ID,
            "refresh_token": user.secret,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        response = self._transport.send(
            "POST", realm, headers=headers, body=urlencode(form).encode()
        )
        return self._read_token(response, realm, user)

    def _read_token(self, response: Any, url: str, user: Credentials | None) -> dict[str, Any]:
        if response.status in (400, 401, 403):
            response.close()
            raise denied(self._host, user)
        if response.status >= 300:
            raise failure(response, f"token from {urlsplit(url).netloc}")
        try:
            answer = json.loads(read_body(response, _TOKEN_LIMIT, url))
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise AuthError(f"{urlsplit(url).netloc} answered no token but something else")
        return answer


def may_send(base: str, realm: str) -> bool:
    """Whether a registry's password may go to the token server `realm`.

    To the registry's own origin; over https also to its host name on another port, to a parent
    domain (gitlab.example.com for registry.gitlab.example.com), to a sub-domain, and from Docker
    Hub to its token server. A parent and a sub-domain belong to the same owner; two hosts that
    merely share a suffix may not, so everything else needs credentials of its own.
    """
    if origin(base) == origin(realm):
        return True
    if not base.startswith("https://") or not realm.startswith("https://"):
        return False
    ours, theirs = origin(base)[1], origin(realm)[1]
    if docker.config_key(ours) == docker.DOCKER_HUB and theirs == _HUB_REALM:
        return True
    related = ours.endswith("." + theirs) or theirs.endswith("." + ours)
    return ours == theirs or (related and "." in theirs and not theirs.replace(".", "").isdigit())


def denied(host: str, user: Credentials | None) -> AuthError:
    """The error for a registry that will not let us in."""
    if user is None:
        return AuthError(
            f"unauthorized: access denied, {host} wants a user name and password",
            hint=f"run `modelkit login {host}`",
            status=401,
        )
    return AuthError(
        f"unauthorized: access denied, {host} refused the password of {user.username}",
        hint=f"run `modelkit login {host}` again, or ask for access",
        status=401,
    )


def _token_url(challenge: Challenge, stamp: Mapping[str, str] | None = None) -> str:
    parts = urlsplit(challenge.get("realm"))
    query = parse_qsl(parts.query, keep_blank_values=True)
    query += [("scope", scope) for scope in challenge.get("scope").split()]
    if challenge.get("service"):
        query.append(("service", challenge.get("service")))
    query += (stamp or {}).items()
    query.sort(key=lambda item: item[0])  # as Go encodes a query
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(query), ""))


def _nonce() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()
