"""Notices a runner that has work and makes no progress, at no cost to the tokens it sends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from modelkit.serve.runner.parent.channel import Channel
    from modelkit.serve.types import Stats

_LOOKS = 4  # how often a runner is looked at while its patience lasts


async def stalled(channel: Channel, stats: Callable[[], Awaitable[Stats]], patience: float) -> str:
    """Wait until the runner has made no progress for `patience` seconds; returns what it does not.

    Answers are progress. When there is work and none come (a long prompt is being read), the runner
    is asked how many tokens it has decoded, which it answers between two steps.
    """
    loop = asyncio.get_running_loop()
    since, received, decoded = loop.time(), 0, -1
    while True:
        await asyncio.sleep(patience / _LOOKS)
        if not channel.busy or channel.received != received:
            since, received = loop.time(), channel.received
            continue
        try:
            async with asyncio.timeout_at(since + patience):
                now = await stats()
        except TimeoutError:
            return f"no step ended for {patience:g} s"
        received = channel.received
        # Embeddings count no tokens, but a step of theirs has ended.
        if now.decoded != decoded or not now.active:
            since, decoded = loop.time(), now.decoded
        elif loop.time() - since >= patience:
            return f"no token was decoded for {patience:g} s"
