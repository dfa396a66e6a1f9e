"""The registry's error bodies and the headers that every answer carries.

Codes are those of the OCI distribution specification, version 1.1, "Error Codes".
"""

import json

from quart import Response, request

from modelkit.asgi.body import TooSlow
from modelkit.errors import (
    BlobNotFound,
    DigestMismatch,
    InvalidDigest,
    InvalidName,
    ManifestError,
    ModelkitError,
    ModelNotFound,
)


class OCIError(Exception):
    """An answer other than success: HTTP status, OCI error code, one line of text."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        detail: object = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail
        self.headers = headers or {}

    def response(self) -> Response:
        """The error as the specification words it."""
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.detail is not None:
            error["detail"] = self.detail
        return json_answer({"errors": [error]}, self.status, self.headers)


_BY_TYPE: tuple[tuple[type[ModelkitError], int, str], ...] = (
    (InvalidName, 400, "NAME_INVALID"),
    (InvalidDigest, 400, "DIGEST_INVALID"),
    (DigestMismatch, 400, "DIGEST_INVALID"),
    (ManifestError, 400, "MANIFEST_INVALID"),
    (BlobNotFound, 404, "BLOB_UNKNOWN"),
    (ModelNotFound, 404, "MANIFEST_UNKNOWN"),
    (TooSlow, 408, "BLOB_UPLOAD_INVALID"),
)


def from_error(error: ModelkitError) -> OCIError:
    """What a failure of the store or of a parser means to a client."""
    for kind, status, code in _BY_TYPE:
        if isinstance(error, kind):
            return OCIError(status, code, error.message)
    return OCIError(500, "UNKNOWN", error.message)


def json_answer(
    value: object,
    status: int = 200,
    headers: dict[str, str] | None = None,
    content_type: str = "application/json",
) -> Response:
    """A JSON body."""
    body = json.dumps(value, separators=(",", ":"))
    return Response(body, status, {**(headers or {}), "Content-Type": content_type})


def empty(status: int, headers: dict[str, str] | None = None) -> Response:
    """An answer without a body; a Content-Length among `headers` is HEAD's, and stays."""
    response = Response(b"", status)
    del response.headers["Content-Type"]
    response.headers.update(headers or {})
    return response


def base_url() -> str:
    """This server as the client calls it; Ollama's client needs absolute locations."""
    scheme = request.headers.get("X-Forwarded-Proto", request.scheme)
    return f"{'https' if scheme == 'https' else 'http'}://{request.host}"
