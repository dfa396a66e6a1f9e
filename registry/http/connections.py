"""Connection pools: trusted certificates, proxies, and a guard against private addresses."""

import ipaddress
import ssl
from typing import Any
from urllib.request import getproxies, proxy_bypass

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from modelkit.errors import RegistryError, UsageError
from modelkit.settings import setting

_CONNECTIONS = 16


def proxy_for(scheme: str, netloc: str) -> str | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY choose for a host."""
    proxies = getproxies()
    return None if proxy_bypass(netloc) else proxies.get(scheme)


def new_manager(scheme: str, proxy: str | None = None, *, public_only: bool) -> PoolManager:
    """Connections for one scheme, through a proxy if one is given.

    With `public_only` they end in RegistryError when they reach a private or loopback address;
    behind a proxy that is the proxy's to decide. Raises UsageError when MODELKIT_CA is unreadable.
    """
    context = _tls_context() if scheme == "https" else None
    if proxy is not None:
        return ProxyManager(proxy, maxsize=_CONNECTIONS, ssl_context=context)
    manager = PoolManager(maxsize=_CONNECTIONS, ssl_context=context)
    if public_only:
        manager.pool_classes_by_scheme = {"http": _PublicHTTPPool, "https": _PublicHTTPSPool}
    return manager


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()  # also reads SSL_CERT_FILE
    authority = setting("CA")
    if authority is not None:
        try:
            context.load_verify_locations(authority)
        except OSError as error:
            raise UsageError(
                f"cannot read the certificate authority {authority}: {error.strerror or error}",
                hint="MODELKIT_CA names a PEM file",
            ) from error
    return context


class _PublicHTTPConnection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _require_public(self)


class _PublicHTTPSConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _require_public(self)


class _PublicHTTPPool(HTTPConnectionPool):
    ConnectionCls = _PublicHTTPConnection


class _PublicHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _PublicHTTPSConnection


def _require_public(connection: Any) -> None:
    # The connected socket is asked, not DNS: a name may resolve differently a moment later.
    address = connection.sock.getpeername()[0]
    if not ipaddress.ip_address(address.split("%")[0]).is_global:
        connection.close()
        raise RegistryError(
            f"redirect to the private address {address} ({connection.host}) refused",
            hint="if that is where it keeps its blobs, set MODELKIT_PRIVATE_REDIRECTS=1",
        )
