"""Models that cannot go back, or forget what is far away, use a prefix only where it works."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from modelkit.serve.types import Generation
from tests.serve.runner.inside import Inside, greedy
from tests.serve.runner.other_memories import WINDOW, write_cohere2, write_mamba

Write = Callable[[Path], Path]


def _words(seed: int, count: int) -> list[int]:
    chosen = random.Random(seed)
    return [290 + seed, *(chosen.randrange(290, 400) for _ in range(count - 1))]


def _alone(path: Path, request: Generation) -> list[int]:
    return Inside(path).answer(request)


@pytest.fixture(params=[write_mamba, write_cohere2], ids=["recurrent", "sliding-window"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write: Write = request.param
    return write(tmp_path / "model.gguf")


@pytest.fixture(autouse=True, params=[True, False], ids=["shared-cells", "own-cells"])
def _cells(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inside, "unified", request.param)


def test_a_conversation_goes_on_where_it_was(model: Path) -> None:
    inside = Inside(model)
    [first] = inside.ask(greedy(_words(1, 100)))
    prompt = [*first.context, *_words(2, 10)]
    [second] = inside.ask(greedy(prompt))
    assert second.cached_tokens == 119
    assert second.context[130:] == _alone(model, greedy(prompt))


@pytest.mark.parametrize("running", [False, True])
def test_a_branch_never_goes_on_from_what_was_forgotten(model: Path, running: bool) -> None:
    inside = Inside(model, num_parallel=2, num_ctx=512)
    prompt = _words(1, 300)
    inside.submit(greedy(prompt, 60))
    for _ in range(20):
        inside.step()
    if not running:
        inside.finish()
    branch = [*prompt[:50], *_words(2, 10)]
    [end] = inside.ask(greedy(branch))
    assert inside.model.rewinds or end.cached_tokens == 0
    assert end.context[60:] == _alone(model, greedy(branch))


def test_several_at_once_say_what_each_says_alone(model: Path) -> None:
    inside = Inside(model, num_ctx=128)
    requests = [greedy(_words(seed, 20 + 15 * seed), 40) for seed in range(4)]
    requests += [greedy(_words(1, 90), 40), greedy([*_words(1, 90), *_words(2, 5)], 10)]
    for _ in range(2):
        ends = inside.ask(*requests)
        for end, request in zip(ends, requests, strict=True):
            assert end.context[end.prompt_tokens :] == Inside(model, num_ctx=128).answer(request)


def test_a_short_branch_near_the_end_fits_into_the_window(tmp_path: Path) -> None:
    inside = Inside(write_cohere2(tmp_path / "model.gguf"), num_parallel=1)
    prompt = _words(1, WINDOW // 2)
    inside.ask(greedy(prompt, 2))
    [end] = inside.ask(greedy([*prompt, *_words(2, 5)]))
    assert end.cached_tokens == len(prompt)
