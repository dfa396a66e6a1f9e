"""Connection pools: trusted certificates, proxies, and a guard against private addresses."""

import ssl
from urllib.request import getproxies, proxy_bypass

from urllib3 import PoolManager, ProxyManager

from modelkit.errors import UsageError
from modelkit.registry.http.public import PublicHTTPPool, PublicHTTPSPool
from modelkit.settings import setting

_CONNECTIONS = 16


def proxy_for(scheme: str, netloc: str) -> str | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY choose for a host."""
    proxies = getproxies()
    return None if proxy_bypass(netloc) else proxies.get(scheme)


def new_manager(scheme: str, proxy: str | None = None, *, public_only: bool) -> PoolManager:
    """Connections for one scheme, through a proxy if one is given.

    With `public_only` requests raise NotPublic for a host at a private or loopback address; behind
    a proxy that is the proxy's to decide. Raises UsageError when MODELKIT_CA is unreadable.
    """
    context = tls_context() if scheme == "https" else None
    if proxy is not None:
        return ProxyManager(proxy, maxsize=_CONNECTIONS, ssl_context=context)
    manager = PoolManager(maxsize=_CONNECTIONS, ssl_context=context)
    if public_only:
        manager.pool_classes_by_scheme = {"http": PublicHTTPPool, "https": PublicHTTPSPool}
    return manager


def tls_context() -> ssl.SSLContext:
    """Trust in the system's authorities and that of MODELKIT_CA; raises UsageError."""
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
