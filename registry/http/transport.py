"""HTTP/1.1 to one registry: retries, redirects followed by hand, failures in plain words."""

import functools
import ipaddress
import platform
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3 import BaseHTTPResponse, PoolManager
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from modelkit.errors import RegistryError, Unreachable
from modelkit.registry.http.connections import new_manager, proxy_for
from modelkit.registry.http.public import NotPublic, is_public
from modelkit.settings import flag
from modelkit.version import __version__

USER_AGENT = f"modelkit/{__version__} ({platform.machine()} {platform.system().lower()})"
CONNECT_SECONDS = 4.0
PATIENCE_SECONDS = 30.0
MAX_REDIRECTS = 10

_PAUSES = (0.2, 0.6, 1.4)
_LONGEST_PAUSE = 10.0
_BUSY = frozenset({429, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DEFAULT_PORTS = {"http": 80, "https": 443}

Body = bytes | Callable[[], Iterable[bytes]]
"""What a request sends: bytes, or a function that gives a fresh stream for every try."""


class Transport:
    """Requests to one registry host, and to wherever that host redirects.

    `insecure` allows plain http to any host; without it only to loopback hosts. Credentials in
    `headers` reach the origin they were given for and no other. When the registry is on the
    public internet (`public`, else found by looking up its addresses), no redirect of its may
    reach a private or loopback address, unless MODELKIT_PRIVATE_REDIRECTS allows it. Safe to
    share between threads.
    """

    def __init__(self, host: str, *, insecure: bool = False, public: bool | None = None) -> None:
        self.host = host
        self._insecure = insecure
        self._public = public
        self._managers: dict[tuple[str, str | None, bool], PoolManager] = {}
        self._lock = threading.Lock()

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        length: int | None = None,
        retry: bool = True,
        patience: float = PATIENCE_SECONDS,
    ) -> BaseHTTPResponse:
        """One exchange; the answer, whatever its status, comes with its body still unread.

        `length` is the size of a streamed body in bytes, `patience` how many seconds the other
        side may be silent. Overload answers and broken connections are tried again unless `retry`
        is off. Raises Unreachable, and RegistryError for a redirect that may not be followed.
        """
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(headers or {})}
        if length is not None:
            sent["Content-Length"] = str(length)
        for _ in range(MAX_REDIRECTS + 1):
            response = self._persist(method, url, sent, body, retry, patience)
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or target is None:
                return response
            response.drain_conn()
            response.release_conn()
            target = urljoin(url, target)
            if origin(target) != origin(url):
                sent.pop("Authorization", None)
            if response.status == 303 and method != "HEAD":
                method, body = "GET", None
                sent.pop("Content-Length", None)
            url = target
        raise RegistryError(
            f"{self.host} redirects in circles: more than {MAX_REDIRECTS} redirects"
        )

    def close(self) -> None:
        """Close the idle connections."""
        for manager in self._managers.values():
            manager.clear()

    def _persist(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | None,
        retry: bool,
        patience: float,
    ) -> BaseHTTPResponse:
        self._check_scheme(url)
        for pause in (*_PAUSES, None) if retry else (None,):
            try:
                response = self._once(method, url, headers, body, patience)
            except NotPublic as found:
                raise RegistryError(
                    f"redirect to the private address {found.address} ({found.host}) refused",
                    hint="if that is where it keeps its blobs, set MODELKIT_PRIVATE_REDIRECTS=1",
                ) from found
            except (HTTPError, OSError) as error:
                if pause is None or not _may_pass(error):
                    raise describe(error, url) from error
            else:
                if pause is None or response.status not in _BUSY:
                    return response
                pause = max(pause, _retry_after(response))
                response.close()
            time.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311
        raise AssertionError("the last try returns or raises")

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | None,
        patience: float,
    ) -> BaseHTTPResponse:
        return self._manager(url).urlopen(
            method,
            url,
            headers=headers,
            body=body() if callable(body) else body,
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=patience),
        )

    def _manager(self, url: str) -> PoolManager:
        parts = urlsplit(url)
        hostname = parts.hostname or ""
        proxy = None if is_loopback(hostname) else proxy_for(parts.scheme, parts.netloc)
        guarded = hostname != urlsplit(f"//{self.host}").hostname and self._is_public
        key = (parts.scheme, proxy, guarded)
        with self._lock:
            if key not in self._managers:
                self._managers[key] = new_manager(parts.scheme, proxy, public_only=guarded)
            return self._managers[key]

    @functools.cached_property
    def _is_public(self) -> bool:
        if self._public is not None or flag("PRIVATE_REDIRECTS"):
            return bool(self._public)
        try:
            found = socket.getaddrinfo(urlsplit(f"//{self.host}").hostname, None)
        except OSError:
            return True
        return all(is_public(str(item[4][0])) for item in found)

    def _check_scheme(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme == "https":
            return
        if parts.scheme != "http":
            raise RegistryError(
                f"{self.host} redirects to {url[:200]!r}, which is not a web address"
            )
        if not self._insecure and not is_loopback(parts.hostname or ""):
            raise RegistryError(
                f"insecure protocol http: {parts.netloc}",
                hint="use https, or allow plain http with --insecure",
            )


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host name and port: what a credential is bound to."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def is_loopback(hostname: str) -> bool:
    """Whether a host name means this machine, without asking DNS."""
    name = hostname.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def describe(error: Exception, url: str) -> RegistryError:
    """The error of a request that got no whole answer, as one line for the user."""
    parts = urlsplit(url)
    where = f"{parts.hostname}:{origin(url)[2]}"
    if isinstance(error, SSLError):
        return _describe_tls(error, where)
    if isinstance(error, NameResolutionError):
        return Unreachable(
            f"cannot reach {where}: no such host name", hint="check the name and the network"
        )
    if _is_timeout(error):
        why = f"no answer within {CONNECT_SECONDS:.0f} seconds"
    elif isinstance(error, ReadTimeoutError):
        why = "it fell silent"
    else:
        why = _root_cause(error)
    return Unreachable(
        f"cannot reach {where}: {why}", hint="check that the registry runs there and try again"
    )


def _may_pass(error: Exception) -> bool:
    """Whether the next try may fare better; silence is not tried twice, it takes too long."""
    lasting = (ReadTimeoutError, NameResolutionError, SSLError)
    return not isinstance(error, lasting) and not _is_timeout(error)


def _is_timeout(error: Exception) -> bool:
    # A refused connection is a kind of ConnectTimeoutError too.
    return isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError)


def _describe_tls(error: SSLError, where: str) -> RegistryError:
    reason = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in reason or "match" in reason:
        detail = reason.split("failed: ", 1)[-1].split(" (_ssl", maxsplit=1)[0]
        return RegistryError(
            f"the certificate of {where} is not trusted: {detail}",
            hint="point MODELKIT_CA at the file of the authority that issued it",
        )
    return RegistryError(
        f"{where} does not speak TLS properly: {reason.split(' (_ssl', maxsplit=1)[0][:200]}",
        hint="if it serves plain http, use --insecure",
    )


def _root_cause(error: BaseException) -> str:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _retry_after(response: BaseHTTPResponse) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_PAUSE) if text.isdecimal() else 0.0
