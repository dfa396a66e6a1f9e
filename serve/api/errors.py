"""Which HTTP status a failure has, and what its body says."""

from dataclasses import dataclass

from modelkit.asgi.body import TooSlow
from modelkit.errors import (
    Cancelled,
    EngineError,
    ModelkitError,
    NotFound,
    Refused,
    UsageError,
)
from modelkit.serve.errors import NotSupported
from modelkit.serve.scheduling.failures import Unstable
from modelkit.serve.scheduling.scheduler import Busy
from modelkit.serve.types import InputTooLong, PromptTooLong
from modelkit.templates import TemplateError

# The first class that fits wins.
_STATUS: tuple[tuple[type[ModelkitError], int], ...] = (
    (InputTooLong, 400),
    (PromptTooLong, 400),
    (TemplateError, 400),
    (UsageError, 400),
    (Refused, 403),
    (NotFound, 404),
    (TooSlow, 408),
    (Cancelled, 499),
    (Unstable, 503),
    (EngineError, 500),
    (NotSupported, 501),
    (Busy, 503),
)


class ApiError(ModelkitError):
    """A failure with a documented status and text; `signin_url` is where to get an account."""

    def __init__(
        self, status: int, message: str, hint: str | None = None, *, signin_url: str = ""
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.signin_url = signin_url


def status_of(error: ModelkitError) -> int:
    """The HTTP status; 500 for what has none of its own."""
    if isinstance(error, ApiError):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def body_of(error: ModelkitError) -> dict[str, str]:
    """`{"error": text}`, with the hint and the address to sign in at, when there are any."""
    body = {"error": error.message}
    if isinstance(error, ApiError) and error.signin_url:
        body["signin_url"] = error.signin_url
    if error.hint:
        body["hint"] = error.hint
    return body


@dataclass(frozen=True)
class NameErrors:
    """How an endpoint answers a name that is empty, invalid or unknown."""

    empty_status: int
    empty: str
    invalid: str = "invalid model name"
    missing: str = "model '{raw}' not found"
