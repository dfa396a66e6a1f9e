"""One listening socket, hypercorn, and a clean end."""

import asyncio
import errno
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from quart import Quart

from modelkit.address import Address
from modelkit.errors import ModelkitError, UsageError

GRACE = 3.0
"""Seconds that open answers get to end when the server is told to stop."""
KEEP_ALIVE = 75.0
"""Seconds an idle connection stays open: registry clients pause while they hash a large blob.

A request's header must be complete in that time too, however slowly its bytes drip.
"""
MAX_HEADER = 16 * 1024
"""Bytes of an incomplete header after which it is refused with 431."""
LONGEST_DRAIN = 7 * 24 * 3600.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def listen(address: Address) -> socket.socket:
    """A listening socket; an empty host means every interface. Raises ModelkitError, UsageError."""
    if address.scheme != "http":
        raise UsageError(
            f"cannot serve {address.scheme}: {address}",
            hint="listen on http, and put a proxy that speaks TLS in front",
        )
    every = address.host in ("", "::")
    try:
        if every and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", address.port), family=socket.AF_INET6, dualstack_ipv6=True
            )
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return socket.create_server((address.host, address.port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        raise _cannot_listen(address, error) from error


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach the socket."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def url(listener: socket.socket) -> str:
    """The socket's address as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@dataclass(frozen=True)
class Leaving:
    """What happens between a signal to stop and the end.

    `told` is called at the signal; for `delay` seconds more everything goes on, so that load
    balancers can notice. Then connections are refused, and open answers have `drain` seconds to
    come to their end before the application is shut down, which ends them with a reason; None:
    GRACE seconds before they are cut off.
    """

    told: Callable[[], object] = lambda: None
    delay: float = 0.0
    drain: float | None = None


def run(app: Quart, listener: socket.socket, leaving: Leaving | None = None) -> None:
    """Serve until SIGINT or SIGTERM; says on stderr where it listens, once it can be stopped.

    A second signal ends the process at once.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_until_signal(app, listener, leaving or Leaving()))


async def serve(
    app: Quart,
    listener: socket.socket,
    stop: Callable[[], Awaitable[object]],
    *,
    grace: float = GRACE,
) -> None:
    """Serve the application on a listening socket until `stop` returns.

    Open answers are cut off `grace` seconds later.
    """
    config = Config()
    # Hypercorn closes what it is given; the caller's socket stays the caller's.
    config.bind = [f"fd://{os.dup(listener.fileno())}"]
    config.errorlog = logging.getLogger("hypercorn.error")
    config.errorlog.setLevel(logging.WARNING)
    config.h11_max_incomplete_size = MAX_HEADER
    config.h2_max_header_list_size = MAX_HEADER
    config.graceful_timeout = grace
    config.keep_alive_timeout = KEEP_ALIVE
    config.include_server_header = False
    await hypercorn_serve(app, config, shutdown_trigger=stop, mode="asgi")


async def _until_signal(app: Quart, listener: socket.socket, leaving: Leaving) -> None:
    loop, told, stop = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    for number in _SIGNALS:
        loop.add_signal_handler(number, told.set)
    sys.stderr.write(f"Listening on {url(listener)}\n")
    sys.stderr.flush()
    ending = asyncio.create_task(_end(app, listener, leaving, told, stop))
    try:
        await serve(
            app, listener, stop.wait, grace=min(leaving.drain or 0.0, LONGEST_DRAIN) + GRACE
        )
    finally:
        ending.cancel()


async def _end(
    app: Quart, listener: socket.socket, leaving: Leaving, told: asyncio.Event, stop: asyncio.Event
) -> None:
    """After the signal, take leave as agreed."""
    await told.wait()
    for number in _SIGNALS:
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
    leaving.told()
    await asyncio.sleep(leaving.delay)
    stop.set()
    # Closing alone would leave the event loop's copy listening, with nobody to accept.
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    if leaving.drain is not None:
        await asyncio.sleep(min(leaving.drain, LONGEST_DRAIN))
        await app.shutdown()


def _cannot_listen(address: Address, error: Exception) -> ModelkitError:
    number = (error.errno or 0) if isinstance(error, OSError) else 0
    # A failed name lookup has a negative number and a text of its own.
    reason = os.strerror(number) if number > 0 else getattr(error, "strerror", str(error))
    in_use = number == errno.EADDRINUSE
    return ModelkitError(
        f"cannot listen on {address}: {reason}",
        hint="is a server already running? stop it, or choose another port"
        if in_use
        else "choose another address",
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
