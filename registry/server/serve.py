"""Run an ASGI app under Hypercorn until a signal ends it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import hypercorn.asyncio
from hypercorn.config import Config
from quart import Quart

from modelkit.errors import UsageError

Stop = Callable[[], Awaitable[object]]


def serve(app: Quart, host: str, port: int, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve `app` until SIGINT or SIGTERM; answers in flight get a few seconds to end.

    `ready` is called with the base URL once connections are accepted; port 0 takes a free one.
    Raises UsageError when the address cannot be listened on.
    """
    listener = listen(host, port)
    if ready is not None:
        ready(url_of(listener))
    asyncio.run(run(app, listener))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises UsageError with the reason when there can be none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    hint = "choose another address or port"
    if not 0 <= port <= 65535:
        raise UsageError(f"cannot listen on {host}:{port}: no such port", hint=hint)
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"cannot listen on {host}:{port}: {reason}", hint=hint) from None


def url_of(listener: socket.socket) -> str:
    """The http URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def run(app: Quart, listener: socket.socket, stop: Stop | None = None) -> None:
    """Serve on `listener`, which is closed at the end, until `stop` returns or a signal comes."""
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "WARNING"
    config.include_server_header = False
    # Registry clients keep connections between blobs; a checksum of a large one takes a while.
    config.keep_alive_timeout = 75
    await hypercorn.asyncio.serve(app, config, shutdown_trigger=stop)
