"""A conversation that returns does not pay for its prompt again, not even after a restart."""

from __future__ import annotations

from pathlib import Path

from modelkit.serve.runner.parent.process import RunnerProcess
from modelkit.serve.types import Finished, Generation, Sampling
from tests.serve.runner.conftest import Start, collect

_MEMORY = 64 << 20
_FIRST = "ba be bi bo bu da de di " * 36
_SECOND = "ka ke ki ko ku la le li " * 36


async def _ask(runner: RunnerProcess, prompt: str | list[int]) -> tuple[str, Finished]:
    return await collect(runner, Generation(prompt, Sampling(temperature=0.0, num_predict=12)))


async def test_what_left_the_cache_comes_back_from_memory(start: Start, llama: Path) -> None:
    runner = await start(llama, num_parallel=1, prefix_cache_memory=_MEMORY)
    text, end = await _ask(runner, _FIRST)
    assert end.prompt_tokens > 256
    assert end.cached_tokens == 0
    assert (await _ask(runner, _SECOND))[1].cached_tokens < 3
    again, end = await _ask(runner, _FIRST)
    assert again == text
    assert end.cached_tokens == end.prompt_tokens - 1


async def test_without_memory_for_copies_the_prompt_is_read_again(
    start: Start, llama: Path
) -> None:
    runner = await start(llama, num_parallel=1, prefix_cache_memory=0)
    for prompt in (_FIRST, _SECOND, _FIRST):
        _, end = await _ask(runner, prompt)
        assert end.cached_tokens < 3


async def test_a_restarted_runner_goes_on_from_disk(
    start: Start, llama: Path, tmp_path: Path
) -> None:
    options = {"prefix_cache_dir": str(tmp_path / "kept"), "prefix_cache_disk": 1 << 30}
    first = await start(llama, **options)
    texts = [await _ask(first, prompt) for prompt in (_FIRST, _SECOND)]
    await first.close()
    second = await start(llama, **options)
    for prompt, (text, _) in zip((_FIRST, _SECOND), texts, strict=True):
        again, end = await _ask(second, prompt)
        assert again == text
        assert end.cached_tokens == end.prompt_tokens - 1
    # The next turn of the conversation: its start is the whole of the last one, answer included.
    turn = [*texts[0][1].context, 300, 301, 302]
    _, end = await _ask(second, turn)
    assert end.cached_tokens >= len(turn) - 4


async def test_a_damaged_copy_costs_only_its_use(start: Start, llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    options = {"prefix_cache_dir": str(folder), "prefix_cache_disk": 1 << 30}
    first = await start(llama, **options)
    text, _ = await _ask(first, _FIRST)
    await first.close()
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    second = await start(llama, **options)
    again, end = await _ask(second, _FIRST)
    assert again == text
    assert end.cached_tokens == 0


async def test_another_kind_of_cache_does_not_read_the_copies(
    start: Start, llama: Path, tmp_path: Path
) -> None:
    options = {"prefix_cache_dir": str(tmp_path / "kept"), "prefix_cache_disk": 1 << 30}
    first = await start(llama, **options)
    await _ask(first, _FIRST)
    await first.close()
    second = await start(llama, kv_cache_type="f32", **options)
    assert (await _ask(second, _FIRST))[1].cached_tokens == 0
