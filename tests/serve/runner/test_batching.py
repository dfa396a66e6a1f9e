"""Several requests at once in one runner."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from time import monotonic

import pytest

from modelkit.serve.runner.parent.process import RunnerProcess
from modelkit.serve.types import Finished, Generation, Sampling
from tests.serve.runner.conftest import Start, collect

_PROMPTS = ["ba be", "bi", "da de di do du", "fa", "ga ge gi go", "ka ke", "la le li", "ma " * 40]


def _greedy(prompt: str, num_predict: int = 60) -> Generation:
    return Generation(prompt, Sampling(temperature=0.0, num_predict=num_predict))


async def _until_idle(runner: RunnerProcess) -> None:
    deadline = monotonic() + 10
    while (stats := await runner.stats()).active or stats.waiting:
        assert monotonic() < deadline, f"still busy: {stats}"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("model", ["llama", "chat_llama"])
async def test_eight_streams_say_what_each_says_alone(
    start: Start, request: pytest.FixtureRequest, model: str
) -> None:
    runner = await start(request.getfixturevalue(model), num_batch=32)
    alone = [await collect(runner, _greedy(prompt)) for prompt in _PROMPTS]
    together = await asyncio.gather(*(collect(runner, _greedy(prompt)) for prompt in _PROMPTS))
    assert [text for text, _ in together] == [text for text, _ in alone]
    assert [end.context for _, end in together] == [end.context for _, end in alone]


async def test_more_requests_than_sequences_all_get_their_turn(start: Start, llama: Path) -> None:
    runner = await start(llama, num_parallel=2, num_ctx=128)
    texts = await asyncio.gather(*(collect(runner, _greedy("ba be", 20)) for _ in range(9)))
    assert {text for text, _ in texts} == {texts[0][0]}


async def test_a_seed_gives_the_same_text_among_others(start: Start, llama: Path) -> None:
    runner = await start(llama)
    seeded = Generation("ba", Sampling(seed=11, temperature=1.0, num_predict=40))
    alone, _ = await collect(runner, seeded)
    (among, _), *_ = await asyncio.gather(
        collect(runner, seeded), *(collect(runner, _greedy(prompt)) for prompt in _PROMPTS)
    )
    assert among == alone


async def test_a_long_prompt_is_read_in_chunks_while_another_streams(
    start: Start, llama: Path
) -> None:
    runner = await start(llama, num_batch=16)
    order: list[str] = []
    async with aclosing(runner.generate(_greedy("ba be", 400))) as stream:
        await anext(stream)
        long = asyncio.create_task(collect(runner, _greedy("ma " * 400, 5)))
        long.add_done_callback(lambda _: order.append("long"))
        async for event in stream:
            order.append(type(event).__name__)  # noqa: PERF401 - others append meanwhile
        text, finished = await long
    assert finished.prompt_tokens > 16 * 20
    # Its 25 chunks of 16 went through, and the other stream got a token in each of these steps.
    assert order.index("long") >= 20
    assert (text, finished.context) == _fields(await collect(runner, _greedy("ma " * 400, 5)))


def _fields(answer: tuple[str, Finished]) -> tuple[str, list[int]]:
    return answer[0], answer[1].context


async def test_chunked_reading_gives_the_same_text_as_one_batch(start: Start, llama: Path) -> None:
    prompt = "ba be bi bo bu " * 20
    small = await start(llama, num_batch=8)
    large = await start(llama, num_batch=512)
    assert _fields(await collect(small, _greedy(prompt))) == _fields(
        await collect(large, _greedy(prompt))
    )


async def test_closing_a_stream_frees_its_sequence(start: Start, llama: Path) -> None:
    runner = await start(llama, num_parallel=1)
    for _ in range(5):
        async with aclosing(runner.generate(_greedy("ba be", 5000))) as stream:
            await anext(stream)
            assert (await runner.stats()).active == 1
        await _until_idle(runner)
    text, _ = await collect(runner, _greedy("ba be", 10))
    assert text == (await collect(await start(llama), _greedy("ba be", 10)))[0]


async def test_a_request_that_waits_for_a_sequence_can_be_cancelled(
    start: Start, llama: Path
) -> None:
    runner = await start(llama, num_parallel=1)
    async with aclosing(runner.generate(_greedy("ba be", 5000))) as stream:
        await anext(stream)
        waiting = asyncio.create_task(collect(runner, _greedy("bi", 5)))
        while not (await runner.stats()).waiting:
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert (await runner.stats()).waiting == 0
    await _until_idle(runner)


async def test_a_prompt_that_is_being_read_can_be_cancelled(start: Start, llama: Path) -> None:
    runner = await start(llama, num_batch=8)
    reading = asyncio.create_task(collect(runner, _greedy("ma " * 480, 5)))
    while not (await runner.stats()).active:
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait({reading})
    await _until_idle(runner)
    assert (await runner.stats()).decoded < 480
