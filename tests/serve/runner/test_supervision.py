"""Runners that stall, crash again and again, or cannot use repacked weights; cancelled requests."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from modelkit.errors import EngineError
from modelkit.serve.capacity.fitting import TooLarge
from modelkit.serve.capacity.memory import estimate
from modelkit.serve.runner.parent.process import RunnerProcess
from modelkit.serve.scheduling.failures import Unstable
from modelkit.serve.scheduling.repacking import crash_note
from modelkit.serve.scheduling.scheduler import Scheduler
from modelkit.serve.types import Finished, Generation, LoadOptions, ModelFiles, Sampling
from tests.serve.runner.conftest import Start, collect
from tests.serve.runner.tiny import write_llama

OPTIONS = LoadOptions(num_ctx=256, num_thread=1)
LONG = Generation("ba be", Sampling(temperature=0.0, num_predict=2000))
SHORT = Generation("ba be", Sampling(temperature=0.0, num_predict=2))


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    scheduler = Scheduler()
    yield scheduler
    await scheduler.close()


async def say(scheduler: Scheduler, path: Path, request: Generation, **changed: object) -> Finished:
    """One whole answer through the scheduler."""
    options = LoadOptions(**{"num_ctx": 256, "num_thread": 1, **changed})  # type: ignore[arg-type]
    async with scheduler.lease(str(path), path.stem, ModelFiles(str(path)), options) as runner:
        return (await collect(runner, request))[1]


async def test_a_runner_that_stops_working_is_killed_with_the_reason(llama: Path) -> None:
    runner = await RunnerProcess.start(ModelFiles(str(llama)), OPTIONS, patience=0.5)
    reasons: list[str] = []
    runner.died = reasons.append
    async with aclosing(runner.generate(LONG)) as events:
        await anext(events)
        os.kill(runner.pid, signal.SIGSTOP)
        with pytest.raises(EngineError, match=r"no step ended for 0\.5 s"):
            async for _ in events:
                pass
    assert reasons == ["no step ended for 0.5 s"]
    await runner.close()


async def test_an_idle_runner_is_left_alone(llama: Path) -> None:
    runner = await RunnerProcess.start(ModelFiles(str(llama)), OPTIONS, patience=0.05)
    reasons: list[str] = []
    runner.died = reasons.append
    os.kill(runner.pid, signal.SIGSTOP)
    await asyncio.sleep(0.3)
    os.kill(runner.pid, signal.SIGCONT)
    assert runner.alive
    await runner.close()
    assert reasons == []


async def test_a_request_is_cancelled_within_one_step_while_its_prompt_is_read(
    start: Start, llama: Path
) -> None:
    runner = await start(llama, num_batch=8)
    prompt = await runner.tokenize("ba be bi bo bu " * 60)
    reading = asyncio.create_task(collect(runner, Generation(prompt, Sampling(num_predict=5))))
    while not (before := await runner.stats()).decoded:
        await asyncio.sleep(0)
    assert before.active == 1
    assert before.decoded < len(prompt)
    reading.cancel()
    await asyncio.wait({reading})
    # The runner takes commands between two steps, in order: it has read the cancellation now.
    after = await runner.stats()
    assert (after.active, after.waiting) == (0, 0)
    assert after.decoded < len(prompt)
    assert (await runner.stats()).decoded == after.decoded


async def test_a_waiting_request_is_cancelled_at_once(start: Start, llama: Path) -> None:
    runner = await start(llama, num_parallel=1)
    async with aclosing(runner.generate(LONG)) as events:
        await anext(events)
        waiting = asyncio.create_task(collect(runner, SHORT))
        while (await runner.stats()).waiting != 1:
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        stats = await runner.stats()
        assert (stats.active, stats.waiting) == (1, 0)


async def test_killed_again_and_again_under_streams(scheduler: Scheduler, llama: Path) -> None:
    moments = random.Random(7)
    for _ in range(10):
        streams = [asyncio.create_task(say(scheduler, llama, LONG)) for _ in range(8)]
        while not scheduler.loaded():
            await asyncio.sleep(0.001)
        await asyncio.sleep(moments.random() / 20)
        for entry in scheduler._roster:
            os.kill(entry.runner.pid, signal.SIGKILL)
        ends = await asyncio.wait_for(asyncio.gather(*streams, return_exceptions=True), 30)
        assert all(isinstance(end, Finished | EngineError) for end in ends)
        assert (await say(scheduler, llama, SHORT)).tokens == 2
    [failure] = scheduler.failures()
    assert failure.name == llama.stem
    assert failure.reason.startswith("killed by SIGKILL")


async def test_twenty_that_leave_free_their_slots(scheduler: Scheduler, llama: Path) -> None:
    await say(scheduler, llama, SHORT)
    [entry] = scheduler._roster
    for _ in range(20):
        stream = asyncio.create_task(say(scheduler, llama, LONG))
        while (await entry.runner.stats()).active == 0:
            await asyncio.sleep(0)
        stream.cancel()
        await asyncio.wait({stream})
        assert (await entry.runner.stats()).active == 0


async def test_a_model_whose_runners_die_has_to_wait(scheduler: Scheduler, llama: Path) -> None:
    files = ModelFiles(str(llama))
    for _ in range(3):
        async with scheduler.lease(str(llama), "m", files, OPTIONS) as runner:
            os.kill(runner.pid, signal.SIGKILL)
            with pytest.raises(EngineError, match="unexpectedly stopped"):
                await collect(runner, LONG)
    with pytest.raises(Unstable, match="died 3 times without an answer, last because: killed by"):
        await say(scheduler, llama, SHORT)


async def test_a_model_that_makes_llama_cpp_abort_is_an_error(
    scheduler: Scheduler, llama: Path, tmp_path: Path
) -> None:
    hostile = write_llama(tmp_path / "hostile.gguf", experts=100_000)
    with pytest.raises(EngineError, match=r"unexpectedly stopped.*SIGABRT: .*GGML_ASSERT"):
        await say(scheduler, hostile, SHORT)
    assert (await say(scheduler, llama, SHORT)).tokens == 2


async def test_automatic_options_match_whatever_runs(scheduler: Scheduler, llama: Path) -> None:
    await say(scheduler, llama, SHORT, num_ctx=64)
    [before] = scheduler.loaded()
    await say(scheduler, llama, SHORT, num_ctx=512, automatic=frozenset({"num_ctx"}))
    [after] = scheduler.loaded()
    assert (before.info.n_ctx, after.info.n_ctx) == (64, 64)


async def test_others_make_room_when_memory_is_short(llama: Path, tmp_path: Path) -> None:
    other = write_llama(tmp_path / "other.gguf", seed=1)
    need = estimate(ModelFiles(str(llama)), OPTIONS).total
    free = [3 * need]
    scheduler = Scheduler(available=lambda: free[0])
    try:
        await say(scheduler, other, SHORT)
        free[0] = need
        await say(scheduler, llama, SHORT)
        assert [entry.name for entry in scheduler.loaded()] == [llama.stem]
    finally:
        await scheduler.close()


async def test_what_fits_not_even_alone_drives_nobody_out(llama: Path, tmp_path: Path) -> None:
    other = write_llama(tmp_path / "other.gguf", seed=1)
    free = [1 << 30]
    scheduler = Scheduler(available=lambda: free[0])
    try:
        await say(scheduler, other, SHORT)
        free[0] = 1 << 20
        with pytest.raises(TooLarge, match="model requires more system memory"):
            await say(scheduler, llama, SHORT)
        assert [entry.name for entry in scheduler.loaded()] == ["other"]
    finally:
        await scheduler.close()


async def test_less_is_asked_for_when_llama_cpp_gets_no_memory(tmp_path: Path) -> None:
    # 256 GiB of cache in one piece: Linux refuses what is more than the machine's memory.
    model = write_llama(tmp_path / "model.gguf", ctx=1 << 30)
    scheduler = Scheduler(available=lambda: None)
    try:
        automatic = frozenset({"num_ctx"})
        await say(scheduler, model, SHORT, num_ctx=1 << 30, num_parallel=1, automatic=automatic)
        [entry] = scheduler.loaded()
        assert entry.info.n_ctx == 32768
    finally:
        await scheduler.close()


FAULTY_ENGINE = """
import os, signal, sys
if "modelkit.serve.runner.worker" in sys.orig_argv:
    from modelkit.serve.runner.llama import model
    load = model.Model.__init__
    def faulty(self, *arguments, extra_buffers=True, **named):
        if extra_buffers:
            os.kill(os.getpid(), signal.SIGSEGV)
        load(self, *arguments, extra_buffers=extra_buffers, **named)
    model.Model.__init__ = faulty
"""


async def test_an_engine_that_crashes_with_repacked_weights_runs_without_them(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "sitecustomize.py").write_text(FAULTY_ENGINE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    caplog.set_level(logging.WARNING, "modelkit.serve.scheduling.repacking")
    for _ in range(2):
        scheduler = Scheduler()
        assert (await say(scheduler, llama, SHORT)).tokens == 2
        assert scheduler.failures() == []
        await scheduler.close()
    [warning] = [
        record for record in caplog.records if record.name == "modelkit.serve.scheduling.repacking"
    ]
    assert "crashes with repacked weights" in warning.getMessage()
    assert crash_note().read_text().startswith(f"seen with {llama}")
