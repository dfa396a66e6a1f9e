"""Where a server listens or is reached: the spellings that MODELKIT_HOST and OLLAMA_HOST allow."""

from dataclasses import dataclass
from typing import Self

from modelkit.settings import setting

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 11434
_SCHEME_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Address:
    """A scheme, a host without brackets, a port and a path that is empty or begins with `/`."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `[scheme://][host][:port][/path]`. Whatever is missing or no port is the default."""
        text = text.strip().strip("\"'")
        scheme, separator, rest = text.rpartition("://")
        authority, slash, path = rest.partition("/")
        if not separator and authority == "ollama.com":
            scheme = "https"
        host, port = _split_port(authority)
        fallback = _SCHEME_PORTS.get(scheme, DEFAULT_PORT)
        return cls(
            scheme=scheme or "http",
            host=host.strip("[]") or ("" if authority.startswith(":") else DEFAULT_HOST),
            port=fallback if port is None else port,
            path=(slash + path).rstrip("/"),
        )

    @classmethod
    def default(cls) -> Self:
        """The address that the environment names, else 127.0.0.1:11434."""
        return cls.parse(setting("HOST") or "")

    @property
    def url(self) -> str:
        """The URL a client uses: an address that means every interface is reached on loopback."""
        host = {"": DEFAULT_HOST, "0.0.0.0": DEFAULT_HOST, "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"{self.scheme}://{_bracketed(host)}:{self.port}{self.path}"

    def __str__(self) -> str:
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}{self.path}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _split_port(authority: str) -> tuple[str, int | None]:
    """The host, and the port if there is a valid one. A bare IPv6 address has none."""
    if authority.count(":") > 1 and not authority.startswith("["):
        return authority, None
    host, colon, port = authority.rpartition(":")
    if not colon or port.endswith("]"):
        return authority, None
    valid = port.isascii() and port.isdigit() and int(port) <= 65535
    return host, int(port) if valid else None
