"""Which other servers may be asked, and whether Ollama's cloud is among them."""

import json
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from modelkit.address import DEFAULT_PORT
from modelkit.model import Model
from modelkit.registry.http.transport import is_loopback
from modelkit.serve.api.errors import ApiError
from modelkit.settings import flag, setting

CLOUD_HOST = "ollama.com"
DISABLED = "ollama cloud is disabled: {what} {verb} unavailable"
_HINT = "set MODELKIT_CLOUD_BASE_URL=https://ollama.com to have it; prompts then leave this machine"

_STRANGE = re.compile(r"[\s\\?#@%]")

Source = Literal["none", "env", "config", "both"]


@dataclass(frozen=True)
class Place:
    """Where a model is, without a slash at the end, and its name there.

    The texts and options of `stub`, a stored model without weights, go with every request.
    """

    url: str
    model: str
    stub: Model | None = None


class LivesElsewhere(ApiError):
    """The model asked for is on another server, which this endpoint does not ask."""

    def __init__(self, place: Place) -> None:
        super().__init__(501, "a model on another server answers chats and prompts only")
        self.place = place


def cloud_source() -> Source:
    """Who forbids the cloud: the environment (NO_CLOUD), Ollama's server.json, both or nobody."""
    env, config = flag("NO_CLOUD"), _config_forbids()
    return "both" if env and config else "env" if env else "config" if config else "none"


def cloud_url() -> str | None:
    """Where the cloud is: MODELKIT_CLOUD_BASE_URL, https or on loopback. None when it is off."""
    address = setting("CLOUD_BASE_URL")
    if address is None or cloud_source() != "none":
        return None
    parts = urlsplit(address)
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    return f"{parts.scheme}://{parts.netloc}" if safe and parts.hostname else None


def require_cloud(what: str, verb: str = "is") -> str:
    """The cloud's URL; raises ApiError 403 when it is off, with `what` as the thing missed."""
    url = cloud_url()
    if url is None:
        hint = _HINT if cloud_source() == "none" else None
        raise ApiError(403, DISABLED.format(what=what, verb=verb), hint)
    return url


def is_cloud(url: str) -> bool:
    """Whether a URL leads to the cloud, which knows us by our key."""
    return urlsplit(url).netloc == urlsplit(cloud_url() or "").netloc


def place_of(stub: Model) -> Place:
    """Where a stub's model is; raises ApiError 400 or 403 when it may not be asked.

    Hosts besides the cloud must be in MODELKIT_REMOTES: names, or names and ports, with commas.
    """
    if cloud_source() != "none":
        require_cloud("remote model")
    parts = urlsplit(stub.config.remote_host)
    allowed = (setting("REMOTES") or CLOUD_HOST).replace(" ", "").lower().split(",")
    if not {parts.hostname, parts.netloc.lower()} & set(allowed):
        raise ApiError(
            400,
            "this server cannot run this remote model",
            f"add {parts.hostname} to MODELKIT_REMOTES to allow it",
        )
    url = stub.config.remote_host.rstrip("/")
    if parts.hostname == CLOUD_HOST:
        url = require_cloud("remote model")
    return Place(url, stub.config.remote_model, stub)


def remote_url(text: str) -> str:
    """A host as stubs name it: scheme, host, port, and a path if there is one.

    Without a scheme it is http, without a port Ollama's; the cloud is at https and 443. Raises
    ApiError 400.
    """
    scheme, separator, rest = text.strip().rpartition("://")
    authority, _, path = rest.partition("/")
    try:
        parts = urlsplit(f"{scheme or 'http'}://{authority}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ApiError(400, "bad remote") from None
    if (separator and not host) or parts.username is not None or _STRANGE.search(text.strip()):
        raise ApiError(400, "bad remote")
    path = posixpath.normpath(f"/{path}") if path else ""
    path = "" if path == "/" else path
    if host == CLOUD_HOST and parts.scheme in ("http", "https") and port is None:
        return f"https://{CLOUD_HOST}:443{path}"
    name = f"[{host}]" if host and ":" in host else host or "localhost"
    return f"{parts.scheme}://{name}:{port or DEFAULT_PORT}{path}"


def _config_forbids() -> bool:
    path = Path.home() / ".ollama" / "server.json"
    try:
        settings = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(settings, dict) and settings.get("disable_ollama_cloud") is True
