"""What is asked beside many requests that come together is answered between them."""

import asyncio
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from modelkit.serve.middleware.pacing import Pacing


async def _asked(*requests: tuple[str, str]) -> list[str]:
    """The paths in the order in which they began, of requests that came in one round."""
    begun: list[str] = []

    async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http"
        begun.append(scope["path"])

    paced: Any = Pacing(app)
    scopes = [{"type": "http", "method": method, "path": path} for method, path in requests]
    await asyncio.gather(*(paced(scope, None, None) for scope in scopes))
    return begun


async def test_a_question_beside_many_does_not_wait_for_them() -> None:
    many = [("POST", f"/{number}") for number in range(200)]
    begun = await _asked(*many, ("GET", "/api/version"))
    assert begun == ["/api/version", *(path for _, path in many)]


async def test_a_client_that_leaves_while_it_waits_keeps_nobody_waiting() -> None:
    paced: Any = Pacing(_nothing)
    scope = {"type": "http", "method": "POST", "path": "/"}
    first, second, third = (asyncio.ensure_future(paced(scope, None, None)) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await asyncio.wait_for(third, 5)


async def _nothing(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    pass
