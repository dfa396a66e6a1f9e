"""Addresses of pages: parsed once, in the only spelling that each has, and nothing odd let through.

What is asked for comes from here, so that no two parsers can read one address differently.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from modelkit.serve.web.page import PageError
from modelkit.settings import setting

MAX_URL = 8192
"""Characters of an address."""

_PORTS = {"http": 80, "https": 443}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_STRANGE = re.compile(r"[\x00-\x1f\x7f\\]")
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_IN_PATH = "/%:@!$&'()*+,;=~"
_IN_QUERY = f"{_IN_PATH}?[]|"


@dataclass(frozen=True)
class Target:
    """A page to ask for: `host` is ASCII in lower case, `path` has the query with it."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> "Target":
        """From an address as a person or a page writes it; https when it has no scheme.

        Raises PageError 400.
        """
        text = text.strip()
        if not text:
            raise PageError(400, "url is required")
        if len(text) > MAX_URL or _STRANGE.search(text):
            raise _bad(text, "is not a web address")
        try:
            parts = urlsplit(text if _SCHEME.match(text) else f"https://{text}")
            port = parts.port
        except ValueError:
            raise _bad(text, "is not a web address") from None
        if parts.scheme not in _PORTS:
            raise _bad(text, "is not an address of http or https")
        if "@" in parts.netloc:
            raise _bad(text, "has a user name or a password in it")
        host = _host(parts.hostname or "")
        if host is None or port == 0:
            raise _bad(text, "is not a web address")
        query = f"?{quote(parts.query, _IN_QUERY)}" if parts.query else ""
        path = quote(parts.path or "/", _IN_PATH) + query
        return cls(parts.scheme, host, port or _PORTS[parts.scheme], path)._allowed(text)

    @property
    def netloc(self) -> str:
        """Host and port as a URL has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole address."""
        return f"{self.scheme}://{self.netloc}{self.path}"

    @property
    def trusted(self) -> bool:
        """Whether MODELKIT_WEB_PRIVATE_HOSTS has it: names, or names and ports, with commas."""
        hosts = (setting("WEB_PRIVATE_HOSTS") or "").replace(" ", "").lower().split(",")
        return not {self.host, f"{self.host}:{self.port}"}.isdisjoint(hosts)

    def _allowed(self, text: str) -> "Target":
        # Below 1024 other protocols live, whose servers must not be sent what looks like HTTP.
        if self.port < 1024 and self.port not in _PORTS.values() and not self.trusted:
            raise _bad(text, f"has port {self.port}, where no web pages are")
        return self


def _host(name: str) -> str | None:
    """The one spelling of a host; None for what is none, or is an IPv4 address in disguise."""
    if ":" in name:
        return _ipv6(name)
    if not name.isascii():
        name = _ascii(name)
    name = name.removesuffix(".")
    if len(name) > 253 or not _NAME.fullmatch(name):
        return None
    if not _NUMBER.fullmatch(name.rpartition(".")[2]):
        return name
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        return None


def _ipv6(name: str) -> str | None:
    try:
        return None if "%" in name else str(ipaddress.IPv6Address(name))
    except ValueError:
        return None


def _ascii(name: str) -> str:
    import idna

    try:
        return idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        return ""


def _bad(text: str, why: str) -> PageError:
    return PageError(400, f"{text[:200]!r} {why}")
