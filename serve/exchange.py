"""The HTTP exchange that is going on: what logs, metrics and error bodies say of it."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Exchange:
    """One request and its answer; each part is empty until it is known.

    id is the client's X-Request-Id or one of ours; route is a pattern such as
    /api/blobs/<digest>; key is the name of the API key.
    """

    id: str
    route: str = ""
    key: str = ""
    model: str = ""


_current: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


def begin(exchange: Exchange) -> None:
    """The exchange of this task, and of the tasks that it starts from now on."""
    _current.set(exchange)


def current() -> Exchange | None:
    """The exchange that this task works for; None outside of one."""
    return _current.get()
