"""One request at a time against a real runner with a tiny real model."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from modelkit.errors import UsageError
from modelkit.serve.types import Finished, Generation, Grammar, Piece, PromptTooLong, Sampling
from tests.serve.runner.conftest import Start, collect


def _greedy(num_predict: int = 24, **options: object) -> Sampling:
    return Sampling(temperature=0.0, num_predict=num_predict, **options)  # type: ignore[arg-type]


async def test_the_answer_streams_and_ends_with_its_counts(start: Start, llama: Path) -> None:
    runner = await start(llama)
    events = [event async for event in runner.generate(Generation("ba be bi", _greedy(10)))]
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert len([event for event in events if isinstance(event, Piece)]) == 10
    assert (finished.reason, finished.tokens, finished.prompt_tokens) == ("length", 10, 4)
    assert finished.prompt_ns > 0
    assert finished.ns > 0
    text = "".join(event.text for event in events if isinstance(event, Piece))
    assert await runner.detokenize(finished.context[4:]) == text.strip()


async def test_what_the_model_is_comes_with_it(start: Start, llama: Path) -> None:
    info = (await start(llama, num_ctx=100_000)).info
    assert (info.architecture, info.n_embd, info.add_bos) == ("llama", 64, True)
    assert info.n_ctx == info.n_ctx_train == 512
    assert (info.bos_token, info.eos_token, info.pooling) == ("<s>", "</s>", None)
    assert info.chat_template == "{{ messages[-1].content }}"
    # Weights (0.6 MB) and a cache of 8 times 512 positions in f16 at least.
    assert info.size_bytes > llama.stat().st_size / 2 + 8 * 512 * 2 * 2 * 32 * 2


async def test_greedy_text_is_the_argmax_of_the_logits(start: Start, llama: Path) -> None:
    runner = await start(llama)
    request = Generation("ba be bi", _greedy(12), logprobs=5)
    pieces = [event async for event in runner.generate(request)]
    entries = [entry for piece in pieces if isinstance(piece, Piece) for entry in piece.logprobs]
    assert len(entries) == 12
    for entry in entries:
        assert entry.logprob == entry.top[0].logprob
        assert bytes(entry.bytes).decode() == entry.token == entry.top[0].token
        assert [top.logprob for top in entry.top] == sorted(
            (top.logprob for top in entry.top), reverse=True
        )


async def test_logprobs_of_the_whole_vocabulary_sum_to_one(start: Start, llama: Path) -> None:
    runner = await start(llama)
    request = Generation("ba", _greedy(1), logprobs=100_000)
    piece = await anext(runner.generate(request))
    assert isinstance(piece, Piece)
    [entry] = piece.logprobs
    assert math.isclose(sum(math.exp(top.logprob) for top in entry.top), 1.0, abs_tol=1e-5)


async def test_a_stop_string_across_tokens_ends_the_text_before_it(
    start: Start, llama: Path
) -> None:
    runner = await start(llama)
    pieces = [
        event.text
        async for event in runner.generate(Generation("ba be bi", _greedy()))
        if isinstance(event, Piece)
    ]
    text = "".join(pieces)
    border = len("".join(pieces[:6]))
    stop = text[border - 1 : border + 2]
    before = text[: text.index(stop)]
    got, finished = await collect(runner, Generation("ba be bi", _greedy(stop=["nowhere", stop])))
    assert (got, finished.reason) == (before, "stop")
    assert finished.tokens < 24


async def test_the_same_seed_gives_the_same_text_and_another_another(
    start: Start, llama: Path
) -> None:
    runner = await start(llama)

    async def text(seed: int) -> str:
        sampling = Sampling(seed=seed, temperature=1.2, num_predict=32)
        return (await collect(runner, Generation("ba", sampling)))[0]

    first = await text(7)
    assert await text(7) == first
    assert await text(8) != first
    assert await text(-1) != await text(-1)


async def test_top_k_one_is_greedy_at_any_temperature(start: Start, llama: Path) -> None:
    runner = await start(llama)
    sampling = Sampling(temperature=5.0, top_k=1, num_predict=24)
    sampled, _ = await collect(runner, Generation("ba be", sampling))
    assert sampled == (await collect(runner, Generation("ba be", _greedy())))[0]


async def test_a_repeat_penalty_counts_the_prompt_too(start: Start, llama: Path) -> None:
    runner = await start(llama)
    plain, _ = await collect(runner, Generation("ba be bi", _greedy(1)))
    # The prompt already holds the token that would come: forbidding repeats must change it.
    prompt = await runner.tokenize("ba be bi") + await runner.tokenize(plain, add_special=False)
    free, _ = await collect(runner, Generation([*prompt], _greedy(40)))
    penalised, _ = await collect(
        runner, Generation([*prompt], _greedy(40, repeat_penalty=50.0, repeat_last_n=-1))
    )
    tokens = await runner.tokenize(penalised, add_special=False)
    assert penalised != free
    assert len(set(tokens)) == len(tokens)


async def test_num_predict_zero_reads_the_prompt_and_says_nothing(
    start: Start, llama: Path
) -> None:
    text, finished = await collect(await start(llama), Generation("ba be", _greedy(0)))
    assert (text, finished.reason, finished.tokens) == ("", "length", 0)


async def test_without_a_limit_a_text_ends_at_ten_contexts(start: Start, llama: Path) -> None:
    runner = await start(llama, num_ctx=16)
    _, finished = await collect(runner, Generation("ba", _greedy(-1)))
    assert (finished.reason, finished.tokens) == ("length", 160)


async def test_a_full_context_without_shift_ends_with_length(start: Start, llama: Path) -> None:
    runner = await start(llama, num_ctx=16, shift=False)
    _, finished = await collect(runner, Generation("ba be", _greedy(100)))
    # 3 prompt tokens fill 16 positions after 13 more; the 14th sampled token needs none.
    assert (finished.reason, finished.prompt_tokens, finished.tokens) == ("length", 3, 14)


async def test_a_full_context_shifts_and_goes_on(start: Start, llama: Path) -> None:
    runner = await start(llama, num_ctx=32)
    text, finished = await collect(runner, Generation("ba be bi bo", _greedy(200)))
    unshifted, _ = await collect(
        await start(llama, num_ctx=32, shift=False), Generation("ba be bi bo", _greedy(200))
    )
    assert finished.tokens == 200
    assert text.startswith(unshifted)


async def test_a_prompt_over_the_context_is_cut_as_documented(start: Start, llama: Path) -> None:
    runner = await start(llama, num_ctx=16)
    prompt = await runner.tokenize("ba be bi bo bu da de di do du fa fe fi fo fu ga ge")
    request = Generation(prompt, _greedy(1, num_keep=2))
    _, finished = await collect(runner, request)
    # 16 - (16 - 3) // 2: two kept and BOS, then the tail.
    assert finished.prompt_tokens == 10
    assert finished.context[:10] == prompt[:3] + prompt[-7:]


async def test_a_prompt_over_the_context_is_refused_when_it_may_not_be_cut(
    start: Start, llama: Path
) -> None:
    runner = await start(llama, num_ctx=16)
    request = Generation("ba " * 20, _greedy(1), truncate=False)
    with pytest.raises(PromptTooLong):
        await collect(runner, request)
    assert (await runner.stats()).active == 0


async def test_tokens_outside_the_vocabulary_are_refused(start: Start, llama: Path) -> None:
    runner = await start(llama)
    for token in (-1, 1 << 20):
        with pytest.raises(UsageError, match=f"token {token} "):
            await collect(runner, Generation([1, token], _greedy(1)))
        with pytest.raises(UsageError, match=f"token {token} "):
            await runner.detokenize([token])
    assert await runner.tokenize("ba")


async def test_an_empty_prompt_without_special_tokens_is_refused(start: Start, llama: Path) -> None:
    runner = await start(llama)
    with pytest.raises(UsageError, match="prompt is empty"):
        await collect(runner, Generation("", _greedy(1), add_special=False))


async def test_an_answer_keeps_to_its_grammar(start: Start, llama: Path) -> None:
    runner = await start(llama)
    grammar = Grammar("regex", "(ba|de){3}, done[.]")
    hot = Sampling(temperature=5.0, seed=1)
    text, finished = await collect(runner, Generation("ba be", hot, grammar=grammar))
    assert re.fullmatch(grammar.source, text)
    assert finished.reason == "stop"
    assert await runner.detokenize(finished.context[finished.prompt_tokens :]) == text


async def test_a_grammar_that_cannot_be_read_is_refused(start: Start, llama: Path) -> None:
    request = Generation("ba", _greedy(1), grammar=Grammar("regex", "(ba"))
    with pytest.raises(UsageError, match="regular expression"):
        await collect(await start(llama), request)


async def test_tokens_go_back_to_the_same_text(start: Start, llama: Path) -> None:
    runner = await start(llama)
    text = "ba be naïve 🙂 text\n\twith everything"
    tokens = await runner.tokenize(text, add_special=False)
    assert await runner.detokenize(tokens) == text
    assert (await runner.tokenize(text))[0] == 1
    assert 2 in await runner.tokenize("a</s>")
    assert 2 not in await runner.tokenize("a</s>", parse_special=False)


async def test_the_end_token_ends_the_text_and_counts(start: Start, llama: Path) -> None:
    runner = await start(llama, num_ctx=512)
    # Almost flat: the end token comes up within a few hundred tokens.
    sampling = Sampling(temperature=50.0, top_k=0, top_p=1.0, seed=3, num_predict=5000)
    _, finished = await collect(runner, Generation("ba", sampling))
    assert finished.reason == "stop"
    assert finished.tokens == len(finished.context) - finished.prompt_tokens + 1
    assert 2 not in finished.context
