"""The bodies of failures, one form for each API."""

from typing import Literal

import msgspec


class Failure(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What went wrong, what to do about it, and where to get an account if one is needed."""

    error: str
    hint: str = ""
    signin_url: str = ""


class OpenaiError(msgspec.Struct, kw_only=True):
    """What went wrong, of which kind it is, and in which field of the request."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenaiFailure(msgspec.Struct, kw_only=True):
    """A failure in OpenAI's form."""

    error: OpenaiError


class AnthropicError(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What went wrong, of which kind it is, and what to do about it."""

    type: str
    message: str
    hint: str = ""


class AnthropicFailure(msgspec.Struct, kw_only=True):
    """A failure in Anthropic's form."""

    type: Literal["error"]
    error: AnthropicError
    request_id: str
