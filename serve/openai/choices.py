"""Several answers at once: each a run of the model of its own, told apart by their index."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from modelkit.serve.api.state import state
from modelkit.serve.completion import Delta, Done, Request, complete
from modelkit.serve.types import Sampling

Part = tuple[int, Delta | Done]


def variants(request: Request, number: int) -> list[Request]:
    """The same request `number` times; from the second on a fixed seed is another one."""
    return [request, *(_reseeded(request, index) for index in range(1, number))]


def answers(requests: Sequence[Request]) -> AsyncGenerator[Part, None]:
    """The parts of all answers as they come, each with its request's index.

    Closing the generator, or a failure of one answer, stops them all.
    """
    return _together(requests) if len(requests) > 1 else _numbered(0, requests[0])


async def _numbered(index: int, request: Request) -> AsyncGenerator[Part, None]:
    async with aclosing(complete(state().scheduler, request)) as parts:
        async for part in parts:
            yield index, part


async def _together(requests: Sequence[Request]) -> AsyncGenerator[Part, None]:
    queue: asyncio.Queue[Part | Exception] = asyncio.Queue(maxsize=len(requests))

    async def run(index: int, request: Request) -> None:
        try:
            async with aclosing(_numbered(index, request)) as parts:
                async for part in parts:
                    await queue.put(part)
        except Exception as error:
            await queue.put(error)

    tasks = [asyncio.create_task(run(index, request)) for index, request in enumerate(requests)]
    try:
        pending = len(tasks)
        while pending:
            item = await queue.get()
            if isinstance(item, Exception):
                raise item
            pending -= isinstance(item[1], Done)
            yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reseeded(request: Request, index: int) -> Request:
    def sampling(n_ctx: int) -> Sampling:
        found = request.sampling(n_ctx)
        if found.seed >= 0:
            found.seed = (found.seed + index) % 2**31
        return found

    return replace(request, sampling=sampling)
