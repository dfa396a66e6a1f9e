"""Failures in OpenAI's form: an `error` object with a message, a type, the field and a code."""

import logging
import re
from typing import Any

from quart import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from modelkit.errors import ModelkitError
from modelkit.serve.api.errors import ApiError, NameErrors, status_of
from modelkit.serve.api.stream import INTERNAL_ERROR, json_response
from modelkit.serve.types import InputTooLong, PromptTooLong

_log = logging.getLogger(__name__)

NAMES = NameErrors(400, "model is required")
"""How an endpoint of this API answers a name that is empty, invalid or unknown."""

_TYPES = {400: "invalid_request_error", 413: "invalid_request_error", 404: "not_found_error"}
_OPTION = re.compile(r'option "(\w+)"')
_RENAMED = {"num_predict": "max_tokens"}


class FieldError(ApiError):
    """A field of the request that is wrong, or that nothing here can honour; status 400."""

    def __init__(self, field: str | None, message: str, code: str | None = None) -> None:
        super().__init__(400, message)
        self.field = field
        self.code = code


def unsupported(field: str, why: str = "is not supported") -> FieldError:
    """A field of OpenAI's that a local model cannot honour."""
    return FieldError(field, f"'{field}' {why}", "unsupported_parameter")


def error_body(error: Exception) -> dict[str, Any]:
    """The `error` object; a defect of ours has no details, which are for the log."""
    if not isinstance(error, ModelkitError):
        return _body(INTERNAL_ERROR["error"], 500)
    code = getattr(error, "code", None)
    if isinstance(error, PromptTooLong | InputTooLong):
        code = "context_length_exceeded"
    if status_of(error) == 404:
        code = "model_not_found"
    text = f"{error.message} ({error.hint})" if error.hint else error.message
    return _body(text, status_of(error), _field(error), code)


def openai_blueprint(name: str) -> Blueprint:
    """A group of routes whose failures have OpenAI's form."""
    blueprint = Blueprint(f"openai_{name}", __name__)

    @blueprint.errorhandler(ModelkitError)
    async def failed(error: ModelkitError) -> Response:
        return json_response(error_body(error), status_of(error))

    @blueprint.errorhandler(HTTPException)
    async def refused(error: HTTPException) -> Response:
        status = error.code or 500
        return json_response(_body(error.description or error.name, status), status)

    @blueprint.errorhandler(Exception)
    async def crashed(error: Exception) -> Response:
        _log.error("%s %s failed", request.method, request.path, exc_info=error)
        return json_response(error_body(error), 500)

    return blueprint


def _field(error: ModelkitError) -> str | None:
    if isinstance(error, FieldError):
        return error.field
    option = _OPTION.match(error.message)
    return _RENAMED.get(option[1], option[1]) if option else None


def _body(
    message: str, status: int, field: str | None = None, code: str | None = None
) -> dict[str, Any]:
    kind = _TYPES.get(status, "api_error")
    return {"error": {"message": message, "type": kind, "param": field, "code": code}}
