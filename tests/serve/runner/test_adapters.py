"""LoRA adapters: by request or for a whole runner, several sets in one runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelkit.errors import EngineError
from modelkit.serve.runner.parent.process import RunnerProcess
from modelkit.serve.types import Adapter, Generation, LoadOptions, ModelFiles, Sampling
from tests.serve.runner.conftest import Start, collect
from tests.serve.runner.inside import Inside, greedy
from tests.serve.runner.tiny import write_adapter


async def answer(llama: Path, adapters: list[str]) -> str:
    runner = await RunnerProcess.start(ModelFiles(str(llama), adapters), LoadOptions(num_ctx=512))
    try:
        sampling = Sampling(temperature=0.0, num_predict=16)
        text, _ = await collect(runner, Generation("ba be bi", sampling))
        return text
    finally:
        await runner.close()


async def test_adapters_change_what_the_model_says(llama: Path, tmp_path: Path) -> None:
    plain = await answer(llama, [])
    nothing = write_adapter(tmp_path / "nothing.gguf", strength=1e-9)
    much = write_adapter(tmp_path / "much.gguf", strength=8.0)
    assert await answer(llama, [nothing]) == plain
    assert await answer(llama, [much]) != plain
    assert await answer(llama, [nothing, much]) == await answer(llama, [much])


async def test_a_request_brings_its_adapters(start: Start, llama: Path, tmp_path: Path) -> None:
    much = write_adapter(tmp_path / "much.gguf", strength=8.0)
    runner = await start(llama)
    request = greedy("ba be bi", 16)
    plain, _ = await collect(runner, request)
    request.adapters = [Adapter(much)]
    changed, finished = await collect(runner, request)
    assert changed == await answer(llama, [much]) != plain
    assert finished.cached_tokens == 0
    request.adapters = [Adapter(str(tmp_path / "missing.gguf"))]
    with pytest.raises(EngineError, match=r"cannot load adapter .*missing\.gguf"):
        await collect(runner, request)


def _sets(folder: Path) -> list[list[Adapter]]:
    first = write_adapter(folder / "first.gguf", strength=8.0)
    second = write_adapter(folder / "second.gguf", strength=8.0, seed=2)
    return [
        [],
        [Adapter(first)],
        [Adapter(first, 0.25)],
        [Adapter(second), Adapter(first, -1.0)],
    ]


def _request(adapters: list[Adapter]) -> Generation:
    request = greedy("ba be bi bo bu " * 20, 24)
    request.adapters = adapters
    return request


def test_sets_of_adapters_take_turns_and_share_nothing(llama: Path, tmp_path: Path) -> None:
    sets = _sets(tmp_path)
    alone = [Inside(llama).ask(_request(adapters))[0] for adapters in sets]
    assert len({tuple(end.context) for end in alone}) == len(sets)
    inside = Inside(llama, num_parallel=8)
    for read in (0, alone[0].prompt_tokens - 1):
        ends = inside.ask(*(_request(adapters) for adapters in sets * 2))
        assert [end.context for end in ends] == [end.context for end in alone] * 2
        assert [end.cached_tokens for end in ends[: len(sets)]] == [read] * len(sets)


def test_the_same_adapters_in_another_order_are_the_same_set(llama: Path, tmp_path: Path) -> None:
    inside = Inside(llama)
    *_, (second, first) = _sets(tmp_path)
    assert inside.load([first, second]).name == inside.load([second, first]).name
    half = Adapter(second.path, 0.5)
    assert inside.load([half, half]).name == inside.load([second]).name
    assert inside.load([half]).name != inside.load([second]).name
