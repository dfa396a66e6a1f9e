"""What was read once is not read again, and no answer changes by it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from modelkit.serve.types import Generation, Sampling
from tests.serve.runner.inside import Inside, greedy

_FIRST = 290  # a syllable, as are all tokens up to 400


@pytest.fixture(autouse=True, params=[True, False], ids=["shared-cells", "own-cells"])
def _cells(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefix is shared in one pool of cells, or copied from one sequence's cells to another's."""
    monkeypatch.setattr(Inside, "unified", request.param)


def _words(seed: int, count: int) -> list[int]:
    """Random syllables, of which the first tells the seeds apart."""
    chosen = random.Random(seed)
    return [_FIRST + seed, *(chosen.randrange(_FIRST, 400) for _ in range(count - 1))]


def _alone(llama: Path, request: Generation, **options: Any) -> list[int]:
    """The answer of an engine that has seen nothing else."""
    return Inside(llama, **options).answer(request)


def test_a_conversation_reads_only_what_is_new(llama: Path) -> None:
    inside = Inside(llama)
    [first] = inside.ask(greedy(_words(1, 100)))
    assert first.cached_tokens == 0
    # The last token of an answer was never read.
    prompt = [*first.context, *_words(2, 30)]
    read = inside.generator.decoded
    [second] = inside.ask(greedy(prompt))
    assert (second.prompt_tokens, second.cached_tokens) == (150, 119)
    assert inside.generator.decoded - read == 31 + 19
    assert second.context[150:] == _alone(llama, greedy(prompt))


def test_the_same_prompt_again_reads_its_last_token(llama: Path) -> None:
    inside = Inside(llama)
    first, second = (inside.ask(greedy(_words(1, 90)))[0] for _ in range(2))
    assert second.cached_tokens == 89
    assert second.context == first.context


def test_a_running_sequence_shares_its_prompt(llama: Path) -> None:
    inside = Inside(llama)
    prompt = _words(1, 120)
    inside.submit(greedy(prompt, 100))
    for _ in range(10):
        inside.step()
    branch = inside.submit(greedy([*prompt[:100], *_words(3, 20)]))
    inside.finish()
    assert inside.ends[branch].cached_tokens == 100
    assert inside.ends[branch].context[120:] == _alone(
        llama, greedy([*prompt[:100], *_words(3, 20)])
    )
    assert inside.ends[0].context[120:] == _alone(llama, greedy(prompt, 100))


def test_requests_that_come_together_read_their_common_prompt_once(llama: Path) -> None:
    inside = Inside(llama)
    common = _words(1, 200)
    requests = [greedy([*common, *_words(seed, 5)], 10) for seed in range(2, 6)]
    ends = inside.ask(*requests)
    assert [end.cached_tokens for end in ends] == [0, 200, 200, 200]
    assert inside.generator.decoded == 200 + 4 * (5 + 9)
    for end, request in zip(ends, requests, strict=True):
        assert end.context[205:] == _alone(llama, request)


def test_those_who_wait_for_a_prompt_go_on_when_its_reader_is_cancelled(llama: Path) -> None:
    inside = Inside(llama, num_batch=16)
    prompt = _words(1, 200)
    reader, waiter = inside.submit(greedy(prompt)), inside.submit(greedy(prompt))
    for _ in range(5):
        inside.step()
    inside.generator.cancel(reader)
    inside.finish()
    assert reader not in inside.ends
    assert inside.ends[waiter].cached_tokens == 80
    assert inside.ends[waiter].context[200:] == _alone(llama, greedy(prompt), num_batch=16)


def test_what_was_read_before_a_cancel_stays(llama: Path) -> None:
    inside = Inside(llama, num_batch=16)
    reader = inside.submit(greedy(_words(1, 200)))
    for _ in range(5):
        inside.step()
    inside.generator.cancel(reader)
    [end] = inside.ask(greedy(_words(1, 200)))
    assert end.cached_tokens == 80
    assert end.context[200:] == _alone(llama, greedy(_words(1, 200)), num_batch=16)


def test_the_prompt_used_least_recently_is_forgotten(llama: Path) -> None:
    inside = Inside(llama, num_parallel=2)
    cached = [
        inside.ask(greedy(_words(seed, 50), 5))[0].cached_tokens for seed in (1, 2, 1, 3, 1, 2)
    ]
    assert cached == [0, 0, 49, 0, 49, 0]


def test_a_long_text_is_not_lost_for_a_short_beginning(llama: Path) -> None:
    inside = Inside(llama)
    system = _words(1, 40)
    long = [*system, *_words(2, 150)]
    inside.ask(greedy(long, 5))
    [short] = inside.ask(greedy([*system, *_words(3, 10)], 5))
    [again] = inside.ask(greedy(long, 5))
    assert (short.cached_tokens, again.cached_tokens) == (40, 189)


def test_a_shifted_text_is_known_up_to_what_it_kept(llama: Path) -> None:
    inside = Inside(llama, num_ctx=64)
    request = greedy(_words(1, 20), 100, num_keep=10)
    [shifted] = inside.ask(request)
    assert shifted.tokens == 100
    [again] = inside.ask(request)
    assert again.cached_tokens == 11
    assert again.context == shifted.context


@pytest.mark.parametrize("together", [False, True])
def test_a_shift_leaves_those_alone_who_share_the_prompt(llama: Path, together: bool) -> None:
    inside = Inside(llama, num_ctx=64)
    # All but the first token may be dropped, so the shift moves cells of the common prompt.
    prompt = _words(1, 60)
    first, other = greedy(prompt, 40, num_keep=0), greedy(prompt, 3, num_keep=0)
    if together:
        ends = inside.ask(other, first, first)
        assert ends[1].context == ends[2].context
        assert ends[0].context[60:] == ends[1].context[60:63]
    else:
        inside.ask(other)
        [end] = inside.ask(first)
        assert end.cached_tokens == 59
        assert end.context[60:] == _alone(llama, first, num_ctx=64)
    assert inside.ask(other)[0].context[60:] == _alone(llama, other, num_ctx=64)


def test_a_cut_prompt_finds_what_a_cut_prompt_left(llama: Path) -> None:
    inside = Inside(llama, num_ctx=64)
    first, second = (inside.ask(greedy(_words(1, 90), 5))[0] for _ in range(2))
    assert first.prompt_tokens == second.prompt_tokens == second.cached_tokens + 1 < 64
    assert second.context == first.context


def test_a_stop_string_leaves_only_what_was_read(llama: Path) -> None:
    inside = Inside(llama)
    prompt = _words(1, 50)
    tokens = inside.answer(greedy(prompt))
    word = inside.model.detokenize(tokens[4:6])
    [stopped] = inside.ask(greedy(prompt, stop=[word]))
    assert stopped.reason == "stop"
    longer = [*prompt, *tokens, *_words(3, 10)]
    assert inside.answer(greedy(longer)) == _alone(llama, greedy(longer))


@pytest.mark.parametrize("seed", range(6))
def test_any_schedule_gives_the_answers_of_requests_alone(llama: Path, seed: int) -> None:
    chosen = random.Random(seed)
    inside = Inside(llama, num_ctx=128, num_parallel=3, num_batch=32)
    roots = [_words(50 + n, 70) for n in range(3)]
    requests: dict[int, Generation] = {}
    for _ in range(25):
        request = _request(chosen, roots, list(inside.ends.values()))
        requests[inside.submit(request)] = request
        for _ in range(chosen.randrange(12)):
            inside.step()
        if chosen.random() < 0.2:
            inside.generator.cancel(chosen.choice(list(requests)))
    inside.finish()
    assert sum(end.cached_tokens for end in inside.ends.values()) > 300
    for id_, end in inside.ends.items():
        alone = Inside(llama, num_ctx=128, num_parallel=3, num_batch=32)
        [expected] = alone.ask(requests[id_])
        assert (end.context, end.reason) == (expected.context, expected.reason)
        assert inside.texts[id_] == alone.texts[0]


def _request(chosen: random.Random, roots: list[list[int]], ends: list) -> Generation:  # type: ignore[type-arg]
    """A branch of a root, or an earlier answer continued; greedy or with a seed."""
    if ends and chosen.random() < 0.4:
        start = chosen.choice(ends).context
    else:
        start = chosen.choice(roots)[: chosen.randrange(10, 70)]
    prompt = [*start[:100], *_words(chosen.randrange(50), chosen.randrange(1, 20))]
    heat = chosen.choice([0.0, 0.0, 1.0])
    sampling = Sampling(temperature=heat, seed=chosen.randrange(99), num_predict=25)
    return Generation(prompt, sampling)
