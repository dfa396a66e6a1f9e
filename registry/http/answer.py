"""What a registry answered: bodies read within a limit, error answers as one line."""

import json

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from modelkit.errors import RegistryError
from modelkit.registry.http.transport import describe

_ERROR_LIMIT = 64 * 1024
_SHOWN = 300
_HINTS = {
    403: "this account may not do that here; see `modelkit login`",
    404: "check the name and the tag",
    413: "the registry, or a proxy before it, limits the size of uploads",
    429: "the registry limits how often it is asked; wait a little",
}


def read_body(response: BaseHTTPResponse, limit: int, url: str) -> bytes:
    """The whole body; raises RegistryError when longer than `limit` bytes, Unreachable when cut."""
    body = b""
    try:
        # Only the read after the last byte notices that a body was cut.
        while len(body) <= limit and (data := response.read(limit + 1 - len(body))):
            body += data
    except HTTPError as error:
        raise describe(error, url) from error
    if len(body) > limit:
        response.close()
        raise RegistryError(f"{url}: the answer is longer than {limit} bytes")
    response.release_conn()
    return body


def failure(response: BaseHTTPResponse, action: str) -> RegistryError:
    """The error for an answer that was not a success; reads what it says, closes it.

    The text is `<action>: <status>: <the registry's codes and messages, or its body>`.
    """
    try:
        # Some error answers announce the length of the blob: what came is all there is.
        body = response.read1(_ERROR_LIMIT) or b""
    except HTTPError:
        body = b""
    response.close()
    said = _registry_errors(body) or body.decode(errors="replace").strip() or response.reason or ""
    line = " ".join(said.split())[:_SHOWN]
    return RegistryError(
        f"{action}: {response.status}: {line}".rstrip(": "),
        hint=_HINTS.get(response.status),
        status=response.status,
    )


def _registry_errors(body: bytes) -> str:
    """The codes and messages of a distribution API error body; empty when it is none."""
    try:
        errors = json.loads(body)["errors"]
        return "; ".join(f"{item['code']} {item.get('message', '')}".strip() for item in errors)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
