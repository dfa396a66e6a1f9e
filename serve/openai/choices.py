"""Several answers at once: each a run of the model of its own, told apart by their index."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from modelkit.serve.api.asking import Asked, parts_of
from modelkit.serve.completion import Delta, Done
from modelkit.serve.remote.answers import RemoteRequest
from modelkit.serve.types import Sampling

Part = tuple[int, Delta | Done]


def variants(request: Asked, number: int) -> list[Asked]:
    """The same request `number` times; from the second on a fixed seed is another one."""
    return [request, *(_reseeded(request, index) for index in range(1, number))]


def answers(requests: Sequence[Asked]) -> AsyncGenerator[Part, None]:
    """The parts of all answers as they come, each with its request's index.

    Closing the generator, or a failure of one answer, stops them all.
    """
    return _together(requests) if len(requests) > 1 else _numbered(0, requests[0])


async def _numbered(index: int, request: Asked) -> AsyncGenerator[Part, None]:
    async with aclosing(parts_of(request)) as parts:
        async for part in parts:
            yield index, part


async def _together(requests: Sequence[Asked]) -> AsyncGenerator[Part, None]:
    queue: asyncio.Queue[Part | Exception] = asyncio.Queue(maxsize=len(requests))

    async def run(index: int, request: Asked) -> None:
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


def _reseeded(request: Asked, index: int) -> Asked:
    if isinstance(request, RemoteRequest):
        return request.reseeded(index)

    def sampling(n_ctx: int) -> Sampling:
        found = request.sampling(n_ctx)
        if found.seed >= 0:
            found.seed = (found.seed + index) % 2**31
        return found

    return replace(request, sampling=sampling)
