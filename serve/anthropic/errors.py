"""What Anthropic's clients are told of a failure."""

import logging
import secrets

from quart import Blueprint, Response, g
from werkzeug.exceptions import HTTPException

from modelkit.errors import ModelkitError
from modelkit.serve.api.errors import body_of, status_of
from modelkit.serve.api.stream import INTERNAL_ERROR, json_response

_log = logging.getLogger(__name__)

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


def request_id() -> str:
    """The id of the request that is being answered: `req_` and 24 hexadecimal digits."""
    if "anthropic_request_id" not in g:
        g.anthropic_request_id = "req_" + secrets.token_hex(12)
    return str(g.anthropic_request_id)


def envelope(error: Exception, request_id: str) -> dict[str, object]:
    """`{"type": "error", "error": {"type", "message", "hint"?}, "request_id"}`.

    What is neither a ModelkitError nor HTTP's is a defect of ours: it is logged, and the client
    learns no more.
    """
    status, body = _status(error), INTERNAL_ERROR
    if isinstance(error, ModelkitError):
        body = body_of(error)
    elif isinstance(error, HTTPException):
        body = {"error": error.description or error.name}
    else:
        _log.error("%s failed", request_id, exc_info=error)
    message, *hint = body.values()
    found = {"type": _TYPES.get(status, "api_error"), "message": message}
    if hint:
        found["hint"] = hint[0]
    return {"type": "error", "error": found, "request_id": request_id}


def handle_errors(blueprint: Blueprint) -> None:
    """Answer what fails in the blueprint's routes with the envelope, and name every request."""

    @blueprint.errorhandler(Exception)
    async def failed(error: Exception) -> Response:
        return json_response(envelope(error, request_id()), _status(error))

    @blueprint.after_request
    async def name(response: Response) -> Response:
        response.headers["request-id"] = request_id()
        return response


def _status(error: Exception) -> int:
    if isinstance(error, HTTPException):
        return error.code or 500
    return status_of(error) if isinstance(error, ModelkitError) else 500
