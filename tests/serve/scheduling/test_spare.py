"""A process for the next model is ready before it is asked for."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from modelkit.serve.scheduling.scheduler import Scheduler
from modelkit.serve.scheduling.spare import QUIET, ROOM
from modelkit.serve.types import LoadOptions, ModelFiles, Runner
from tests.processes import children
from tests.serve.runner.conftest import llama

__all__ = ["llama"]  # a fixture of the runner's tests, used here too

_OPTIONS = LoadOptions(num_ctx=128, num_thread=1)
_LOOK = 0.01  # seconds


def _workers() -> set[int]:
    return set(children("modelkit.serve.runner.worker"))


async def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(_LOOK)


@asynccontextmanager
async def _prepared() -> AsyncIterator[Scheduler]:
    """One with a spare process; no fixture, for pytest changes the environment between the two."""
    scheduler = Scheduler(spare=True)
    scheduler.prepare(delay=0.0)
    await _until(lambda: bool(_workers()))
    yield scheduler
    await scheduler.close()
    assert not _workers()


@asynccontextmanager
async def _lease(scheduler: Scheduler, model: Path) -> AsyncIterator[Runner]:
    files = ModelFiles(str(model))
    async with scheduler.lease(str(model), model.stem, files, _OPTIONS) as runner:
        assert await runner.tokenize("ba")
        yield runner


async def test_a_model_is_loaded_in_the_spare_process(llama: Path) -> None:
    async with _prepared() as scheduler:
        spares = _workers()
        async with _lease(scheduler, llama) as runner:
            assert {runner.pid} == spares


async def test_another_is_started_when_nothing_is_asked_for(llama: Path) -> None:
    async with _prepared() as scheduler:
        async with _lease(scheduler, llama) as runner:
            await asyncio.sleep(QUIET + 5 * _LOOK)
            assert _workers() == {runner.pid}
        await _until(lambda: len(_workers()) == 2)


async def test_one_that_died_costs_only_its_use(llama: Path) -> None:
    async with _prepared() as scheduler:
        [spare] = _workers()
        os.kill(spare, signal.SIGKILL)
        await _until(lambda: spare not in _workers())
        async with _lease(scheduler, llama) as runner:
            assert runner.pid != spare
        assert scheduler.failures() == []


async def test_one_from_another_environment_is_not_used(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _prepared() as scheduler:
        [spare] = _workers()
        monkeypatch.setenv("GOMP_SPINCOUNT", "1")
        async with _lease(scheduler, llama) as runner:
            assert runner.pid != spare
            assert spare not in _workers()
            assert b"GOMP_SPINCOUNT=1\0" in Path(f"/proc/{runner.pid}/environ").read_bytes()


@pytest.mark.parametrize("settings", [{"spare": False}, {"available": lambda: ROOM - 1}])
async def test_none_is_kept_where_it_is_not_wanted(settings: dict[str, object]) -> None:
    scheduler = Scheduler(**{"spare": True, **settings})  # type: ignore[arg-type]
    scheduler.prepare(delay=0.0)
    await asyncio.sleep(5 * _LOOK)
    assert not _workers()
    await scheduler.close()
