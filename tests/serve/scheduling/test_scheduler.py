"""Loading, sharing, reloading, keeping and evicting real runners."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from modelkit.errors import EngineError, UsageError
from modelkit.serve.scheduling.scheduler import Busy, Scheduler
from modelkit.serve.types import Generation, LoadOptions, ModelFiles, Sampling
from tests.processes import children
from tests.serve.runner.conftest import bert, collect
from tests.serve.runner.tiny import write_llama

__all__ = ["bert"]  # a fixture of the runner's tests, used here too

_OPTIONS = LoadOptions(num_ctx=128, num_thread=1)
_LONG = Generation("ba", Sampling(temperature=0.0, num_predict=1200))

New = Callable[..., Scheduler]


@pytest.fixture
async def new() -> AsyncIterator[New]:
    """Makes schedulers that are closed when the test ends."""
    made: list[Scheduler] = []

    def make(**settings: object) -> Scheduler:
        made.append(Scheduler(**settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for scheduler in made:
        await scheduler.close()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [write_llama(folder / f"m{n}.gguf", seed=n) for n in range(3)]


async def _use(
    scheduler: Scheduler,
    model: Path,
    options: LoadOptions = _OPTIONS,
    keep_alive: float | None = None,
) -> int:
    """Lease a model, check that it answers; the pid of its runner."""
    files = ModelFiles(str(model))
    async with scheduler.lease(str(model), model.stem, files, options, keep_alive) as runner:
        assert await runner.tokenize("ba")
        return runner.pid


def _names(scheduler: Scheduler) -> list[str]:
    return sorted(entry.name for entry in scheduler.loaded())


async def _until_gone(pid: int) -> None:
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the runner is still there"
        await asyncio.sleep(0.01)


async def test_requests_share_one_runner(new: New, models: list[Path]) -> None:
    scheduler = new()
    first = await _use(scheduler, models[0])
    pids = await asyncio.gather(*(_use(scheduler, models[0]) for _ in range(20)))
    assert set(pids) == {first}
    [entry] = scheduler.loaded()
    assert (entry.name, entry.key, entry.info.n_ctx) == ("m0", str(models[0]), 128)
    assert abs(entry.expires_at - (time.time() + 300)) < 5


async def test_requests_that_arrive_while_a_model_loads_wait_for_it(
    new: New, models: list[Path]
) -> None:
    scheduler = new()
    pids = await asyncio.gather(*(_use(scheduler, models[0]) for _ in range(10)))
    assert len(set(pids)) == 1


async def test_other_runner_options_reload_the_model(new: New, models: list[Path]) -> None:
    scheduler = new()
    first = await _use(scheduler, models[0])
    for changed in (
        LoadOptions(num_ctx=64, num_thread=1),
        LoadOptions(num_ctx=64, num_thread=1, shift=False),
    ):
        second = await _use(scheduler, models[0], changed)
        assert second != first
        await _until_gone(first)
        first = second
    assert _names(scheduler) == ["m0"]


@pytest.mark.parametrize(
    ("running", "wanted"),
    [
        (LoadOptions(num_gpu=0), LoadOptions(num_gpu=-1)),
        (LoadOptions(use_mmap=True), LoadOptions(use_mmap=None)),
        (LoadOptions(num_ctx=512), LoadOptions(num_ctx=100_000)),
    ],
)
async def test_automatic_options_match_the_running_ones(
    new: New, models: list[Path], running: LoadOptions, wanted: LoadOptions
) -> None:
    scheduler = new()
    first = await _use(scheduler, models[0], running)
    assert await _use(scheduler, models[0], wanted) == first


async def test_a_reload_waits_for_the_answers_in_progress(new: New, models: list[Path]) -> None:
    scheduler = new()
    files = ModelFiles(str(models[0]))
    async with scheduler.lease(str(models[0]), "m0", files, _OPTIONS) as runner:
        answer = asyncio.create_task(collect(runner, _LONG))
        await asyncio.sleep(0.05)
        other = asyncio.create_task(_use(scheduler, models[0], LoadOptions(num_ctx=64)))
        await asyncio.sleep(0.1)
        assert not other.done()
        _, finished = await answer
        assert finished.tokens == 1200
        pid = runner.pid
    assert await other != pid


async def test_keep_alive_zero_unloads_after_the_answer(new: New, models: list[Path]) -> None:
    scheduler = new()
    await _until_gone(await _use(scheduler, models[0], keep_alive=0))
    assert scheduler.loaded() == []


async def test_an_idle_model_is_unloaded_when_its_time_is_over(
    new: New, models: list[Path]
) -> None:
    scheduler = new(keep_alive=0.3)
    started = time.monotonic()
    pid = await _use(scheduler, models[0])
    assert _names(scheduler) == ["m0"]
    await _until_gone(pid)
    assert time.monotonic() - started >= 0.3
    assert scheduler.loaded() == []


async def test_every_use_starts_the_time_again(new: New, models: list[Path]) -> None:
    scheduler = new(keep_alive=0.5)
    pid = await _use(scheduler, models[0])
    for _ in range(4):
        await asyncio.sleep(0.25)
        assert await _use(scheduler, models[0]) == pid


async def test_a_model_in_use_does_not_expire(new: New, models: list[Path]) -> None:
    scheduler = new(keep_alive=0.05)
    files = ModelFiles(str(models[0]))
    async with scheduler.lease(str(models[0]), "m0", files, _OPTIONS) as runner:
        await asyncio.sleep(0.2)
        assert await runner.tokenize("ba")


async def test_a_negative_keep_alive_is_for_ever_until_another_is_stated(
    new: New, models: list[Path]
) -> None:
    scheduler = new(keep_alive=0.2)
    pid = await _use(scheduler, models[0], keep_alive=-1)
    assert scheduler.loaded()[0].expires_at == math.inf
    await asyncio.sleep(0.4)
    assert await _use(scheduler, models[0]) == pid
    assert scheduler.loaded()[0].expires_at == math.inf
    await _use(scheduler, models[0], keep_alive=0.1)
    await _until_gone(pid)


async def test_unload_ends_an_idle_runner_before_it_returns(new: New, models: list[Path]) -> None:
    scheduler = new()
    pid = await _use(scheduler, models[0])
    await scheduler.unload(str(models[0]))
    assert not Path(f"/proc/{pid}").exists()
    await scheduler.unload("not loaded")


async def test_unload_lets_the_answer_in_progress_finish(new: New, models: list[Path]) -> None:
    scheduler = new()
    files = ModelFiles(str(models[0]))
    async with scheduler.lease(str(models[0]), "m0", files, _OPTIONS) as runner:
        stream = asyncio.create_task(collect(runner, _LONG))
        await asyncio.sleep(0.05)
        await scheduler.unload(str(models[0]))
        assert (await stream)[1].tokens == 1200
        pid = runner.pid
    await _until_gone(pid)
    assert scheduler.loaded() == []


async def test_the_model_with_the_shortest_keep_alive_makes_room(
    new: New, models: list[Path]
) -> None:
    scheduler = new(max_loaded=2)
    await _use(scheduler, models[0], keep_alive=-1)
    await _use(scheduler, models[1], keep_alive=60)
    await _use(scheduler, models[2])
    assert _names(scheduler) == ["m0", "m2"]


async def test_an_idle_model_makes_room_before_a_busy_one(new: New, models: list[Path]) -> None:
    scheduler = new(max_loaded=2)
    await _use(scheduler, models[1], keep_alive=-1)
    async with scheduler.lease(
        str(models[0]), "m0", ModelFiles(str(models[0])), _OPTIONS, 1
    ) as runner:
        await _use(scheduler, models[2])
        assert _names(scheduler) == ["m0", "m2"]
        assert await runner.tokenize("ba")


async def test_zero_max_loaded_means_three(new: New, models: list[Path], bert: Path) -> None:
    scheduler = new()
    for model in [*models, bert]:
        await _use(scheduler, model)
    assert len(_names(scheduler)) == 3


async def test_a_full_queue_is_refused_with_ollamas_text(new: New, models: list[Path]) -> None:
    scheduler = new(max_queue=1)
    loading = asyncio.create_task(_use(scheduler, models[0]))
    waiting = asyncio.create_task(_use(scheduler, models[1]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(Busy) as caught:
        await _use(scheduler, models[2])
    assert caught.value.message == (
        "server busy, please try again.  maximum pending requests exceeded"
    )
    await asyncio.gather(loading, waiting)
    assert _names(scheduler) == ["m0", "m1"]


async def test_a_loaded_model_answers_while_another_loads(new: New, models: list[Path]) -> None:
    scheduler = new(max_queue=0)
    await _use(scheduler, models[0])
    loading = asyncio.create_task(_use(scheduler, models[1]))
    await asyncio.sleep(0.05)
    await _use(scheduler, models[0])
    assert not loading.done()
    await loading


async def test_a_request_that_gives_up_waiting_leaves_the_queue(
    new: New, models: list[Path]
) -> None:
    scheduler = new(max_queue=1)
    loading = asyncio.create_task(_use(scheduler, models[0]))
    await asyncio.sleep(0.02)
    waiting = asyncio.create_task(_use(scheduler, models[1]))
    await asyncio.sleep(0.02)
    waiting.cancel()
    await asyncio.wait({waiting})
    await asyncio.gather(loading, _use(scheduler, models[2]))
    assert _names(scheduler) == ["m0", "m2"]


async def test_a_request_that_gives_up_loading_leaves_no_runner(
    new: New, models: list[Path]
) -> None:
    scheduler = new()
    loading = asyncio.create_task(_use(scheduler, models[0]))
    await asyncio.sleep(0.1)
    loading.cancel()
    await asyncio.wait({loading})
    assert scheduler.loaded() == []
    assert not children("modelkit.serve.runner.worker")
    await _use(scheduler, models[0])


async def test_a_killed_runner_is_replaced_at_the_next_request(
    new: New, models: list[Path]
) -> None:
    scheduler = new()
    files = ModelFiles(str(models[0]))

    async def answer() -> None:
        async with scheduler.lease(str(models[0]), "m0", files, _OPTIONS) as runner:
            async for _ in runner.generate(_LONG):
                os.kill(runner.pid, signal.SIGKILL)

    pid = await _use(scheduler, models[0])
    with pytest.raises(EngineError, match="unexpectedly stopped"):
        await answer()
    assert scheduler.loaded() == []
    assert await _use(scheduler, models[0]) != pid


async def test_a_failed_load_leaves_the_scheduler_working(
    new: New, models: list[Path], tmp_path: Path
) -> None:
    scheduler = new()
    garbage = tmp_path / "garbage.gguf"
    garbage.write_bytes(b"GGUF")
    with pytest.raises(EngineError, match="cannot load"):
        await _use(scheduler, garbage)
    with pytest.raises(UsageError, match="kv_cache_type"):
        await _use(scheduler, models[0], LoadOptions(kv_cache_type="x"))
    await _use(scheduler, models[0])
    assert _names(scheduler) == ["m0"]


async def test_a_closed_scheduler_ends_its_runners_and_lends_no_more(
    new: New, models: list[Path]
) -> None:
    scheduler = new()
    pids = [await _use(scheduler, model) for model in models[:2]]
    loading = asyncio.create_task(_use(scheduler, models[2]))
    await asyncio.sleep(0.05)
    await scheduler.close()
    for pid in pids:
        assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(EngineError, match="shutting down"):
        await loading
    with pytest.raises(EngineError, match="shutting down"):
        await _use(scheduler, models[0])
    assert not children("modelkit.serve.runner.worker")
