"""Models that differ only in their adapters: one runner, one copy of the weights."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from modelkit.model import Model
from modelkit.names import ModelName
from modelkit.serve.loading import Loading
from modelkit.serve.scheduling.scheduler import Scheduler
from modelkit.serve.types import LoadOptions
from modelkit.store import Store
from tests.serve.api.harness import add_model, derive
from tests.serve.runner.conftest import collect
from tests.serve.runner.inside import greedy
from tests.serve.runner.tiny import write_adapter, write_llama

# In f32, what else is in a batch does not change a token's logits.
_OPTIONS = LoadOptions(num_ctx=256, num_thread=1, kv_cache_type="f32", flash_attention="off")


@pytest.fixture
def loadings(store: Store, tmp_path: Path) -> list[Loading]:
    """A model, and two made of it with an adapter each."""
    add_model(store, "plain", write_llama(tmp_path / "plain.gguf"))
    for seed, name in enumerate(("first", "second")):
        path = tmp_path / f"{name}.gguf"
        write_adapter(path, strength=8.0, seed=seed)
        derive(store, name, "plain", adapters={path.name: path})
    models = [Model.open(store, ModelName.parse(name)) for name in ("plain", "first", "second")]
    return [Loading(model, _OPTIONS) for model in models]


async def _ask(scheduler: Scheduler, loading: Loading) -> tuple[int, str]:
    """The pid of the runner, and what the model says."""
    request = greedy("ba be bi", 16)
    request.adapters = loading.adapters
    async with loading.lease(scheduler) as runner:
        return runner.pid, (await collect(runner, request))[0]


async def test_they_share_a_runner_and_answer_differently(loadings: list[Loading]) -> None:
    scheduler = Scheduler(max_loaded=1)
    try:
        alone = [await _ask(scheduler, loading) for loading in loadings]
        together = await asyncio.gather(*(_ask(scheduler, loading) for loading in loadings * 2))
        assert len(scheduler.loaded()) == 1
    finally:
        await scheduler.close()
    assert len({pid for pid, _ in alone}) == 1
    assert len({text for _, text in alone}) == len(loadings)
    assert together == alone * 2
