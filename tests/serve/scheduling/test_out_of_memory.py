"""Runners that the kernel kills while they load, as it does when memory runs out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelkit.serve.runner.parent.process import Crashed
from modelkit.serve.scheduling.failures import FREE_DEATHS, Unstable
from modelkit.serve.scheduling.scheduler import Scheduler
from modelkit.serve.types import LoadOptions, ModelFiles
from tests.serve.runner.conftest import collect, llama
from tests.serve.runner.inside import greedy

__all__ = ["llama"]  # a fixture of the runner's tests, used here too

_KILLED = """
import os, signal, sys
from pathlib import Path
if "modelkit.serve.runner.worker" in sys.orig_argv:
    kills = Path(__file__).with_name("kills")
    if left := int(kills.read_text()):
        kills.write_text(str(left - 1))
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that says how many of the next runners are killed."""
    (tmp_path / "sitecustomize.py").write_text(_KILLED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "kills"


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(available=lambda: None)
    yield scheduler
    await scheduler.close()


async def _say(scheduler: Scheduler, llama: Path, *automatic: str) -> None:
    options = LoadOptions(num_ctx=64, num_thread=1, automatic=frozenset(automatic))
    async with scheduler.lease(str(llama), "m", ModelFiles(str(llama)), options) as runner:
        await collect(runner, greedy("ba be", 2))


async def test_attempts_that_led_to_a_smaller_one_do_not_count(
    scheduler: Scheduler, llama: Path, kills: Path
) -> None:
    kills.write_text("2")
    await _say(scheduler, llama, "num_parallel")
    [entry] = scheduler.loaded()
    assert entry.options.num_parallel == LoadOptions().num_parallel // 4
    assert scheduler.failures() == []


async def test_a_model_is_tried_again_after_a_while_and_then_forgiven(
    scheduler: Scheduler, llama: Path, kills: Path
) -> None:
    kills.write_text(str(FREE_DEATHS))
    for _ in range(FREE_DEATHS):
        with pytest.raises(Crashed, match="SIGKILL"):
            await _say(scheduler, llama)
    with pytest.raises(Unstable, match=f"died {FREE_DEATHS} times without an answer"):
        await _say(scheduler, llama)
    assert scheduler.loaded() == []
    async with asyncio.timeout(60):
        while not scheduler.loaded():
            try:
                await _say(scheduler, llama)
            except Unstable:
                await asyncio.sleep(0.05)
    [failure] = scheduler.failures()
    assert (failure.deaths, failure.reason) == (0, "killed by SIGKILL")
