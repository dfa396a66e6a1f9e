"""Requests begin one after the other, so that many at once do not keep all others waiting."""

import asyncio

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

_ROUNDS = 4
"""What a request does before it waits for the engine is spread over about so many."""


class Pacing:
    """Lets one POST begin in a few rounds of the event loop.

    Two hundred that come together would each take their milliseconds of the same rounds, and who
    asks whether the server is alive, or reads a stream, would wait for all of them. None is refused
    and their order stays. One that comes alone waits for empty rounds: microseconds.
    """

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app
        self._begin = asyncio.Lock()

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """ASGI entry point."""
        if scope["type"] == "http" and scope["method"] == "POST":
            async with self._begin:
                for _ in range(_ROUNDS):
                    await asyncio.sleep(0)
        await self._app(scope, receive, send)
