"""One page from the web: redirects followed by hand, every address checked, sizes limited."""

import ssl
from dataclasses import dataclass
from urllib.parse import urljoin

import urllib3
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NameResolutionError, SSLError

from modelkit.errors import RegistryError
from modelkit.registry.http.answer import read_body
from modelkit.registry.http.connections import tls_context
from modelkit.registry.http.public import NotPublic, PublicHTTPPool, PublicHTTPSPool
from modelkit.registry.http.transport import USER_AGENT
from modelkit.serve.compression import Broken, decompressed
from modelkit.serve.web.page import PageError
from modelkit.serve.web.target import Target

MAX_BODY = 8 << 20
"""Bytes of a page, on the way and decompressed."""
MAX_REDIRECTS = 5

_TIMEOUT = urllib3.Timeout(connect=5.0, read=15.0)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "text/html, application/xhtml+xml, text/*;q=0.9, application/json;q=0.9, */*;q=0.1",
    "Accept-Encoding": "gzip, zstd",
}


@dataclass(frozen=True)
class Document:
    """What is at `url`, to which redirects may have led; `content_type` as the server says."""

    url: str
    content_type: str
    body: bytes


def fetch(url: str) -> Document:
    """The document at an address; raises PageError."""
    target = Target.parse(url)
    for _ in range(MAX_REDIRECTS + 1):
        response = _ask(target)
        location = response.headers.get("Location")
        if response.status not in _REDIRECTS or location is None:
            return _document(target, response)
        response.close()
        target = Target.parse(urljoin(target.url, _text(location)))
    raise PageError(502, f"{target.host} redirects more than {MAX_REDIRECTS} times")


def _ask(target: Target) -> BaseHTTPResponse:
    try:
        return _pool(target).urlopen(
            "GET",
            target.path,
            headers=_HEADERS,
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
            timeout=_TIMEOUT,
        )
    except (NotPublic, NameResolutionError) as error:
        # One text for both: nobody learns from it which names there are inside.
        raise PageError(
            400,
            f"{target.host} has no address on the public internet",
            "if pages may be read there, add it to MODELKIT_WEB_PRIVATE_HOSTS",
        ) from error
    except (SSLError, ssl.SSLError) as error:
        raise PageError(502, f"{target.host} has no certificate that is trusted") from error
    except (HTTPError, OSError) as error:
        raise PageError(502, f"{target.netloc} does not answer") from error


def _pool(target: Target) -> HTTPConnectionPool:
    """Connections to the host as it was parsed; no proxy, for it would look the name up itself."""
    if target.scheme == "http":
        plain = HTTPConnectionPool if target.trusted else PublicHTTPPool
        return plain(target.host, target.port)
    kind = HTTPSConnectionPool if target.trusted else PublicHTTPSPool
    return kind(target.host, target.port, ssl_context=tls_context())


def _document(target: Target, response: BaseHTTPResponse) -> Document:
    if not 200 <= response.status < 300:
        response.close()
        said = f"{response.status} {response.reason or ''}".strip()
        raise PageError(502, f"{target.host} answers {said[:100]}")
    try:
        raw = read_body(response, MAX_BODY, target.url)
        body = decompressed(raw, response.headers.get("Content-Encoding", ""), MAX_BODY)
    except RegistryError as error:
        raise PageError(502, error.message) from error
    except (Broken, KeyError) as error:
        raise PageError(502, f"{target.url}: the compressed page cannot be read") from error
    if len(body) > MAX_BODY:
        raise PageError(502, f"{target.url}: the answer is longer than {MAX_BODY} bytes")
    return Document(target.url, response.headers.get("Content-Type", ""), body)


def _text(header: str) -> str:
    """A header as text: its bytes mean UTF-8, whatever the protocol says."""
    return header.encode("latin-1", "replace").decode("utf-8", "replace")
