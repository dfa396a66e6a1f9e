"""What is read of a web page, and why one is not read."""

import msgspec

from modelkit.errors import ModelkitError


class Page(msgspec.Struct, kw_only=True):
    """A page as text: HTML has become Markdown. `links` are web addresses, each once."""

    title: str
    content: str
    links: list[str]


class Failure(msgspec.Struct, kw_only=True):
    """A PageError on its way from the process that read the page."""

    status: int
    message: str
    hint: str | None


class PageError(ModelkitError):
    """A page that cannot be had; `status` is the HTTP status that says so.

    400: the address is none to ask; 501: something is not installed; 502: what its server
    answered cannot be used; 504: it took too long.
    """

    def __init__(self, status: int, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.status = status
