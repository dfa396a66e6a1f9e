"""Pooled vectors of real encoders and decoders."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import gguf
import numpy as np
import pytest

from modelkit.errors import UsageError
from modelkit.serve.types import Generation, InputTooLong, Piece, Sampling
from tests.serve.runner.conftest import Start, collect
from tests.serve.runner.tiny import BERT_CTX, write_bert

_TEXTS = ["why is the sky blue?", "a cat sat", "the cat is blue", "", "why " * 30]


def _assert_same(actual: list[list[float]], expected: list[list[float]]) -> None:
    """The vectors point the same way; attention in f16 moves single values by up to 1e-4."""
    left, right = np.array(actual), np.array(expected)
    assert left.shape == right.shape
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    assert ((left * right).sum(axis=1) / lengths).min() > 0.99999


async def test_texts_together_have_the_vectors_they_have_alone(start: Start, bert: Path) -> None:
    runner = await start(bert)
    together = await runner.embed(_TEXTS)
    alone = [await runner.embed([text]) for text in _TEXTS]
    _assert_same(together.vectors, [single.vectors[0] for single in alone])
    assert together.prompt_tokens == sum(single.prompt_tokens for single in alone)


async def test_the_closing_tokens_of_an_encoder_are_counted(start: Start, bert: Path) -> None:
    embedding = await (await start(bert)).embed(["why is the sky blue?"])
    assert embedding.prompt_tokens == 8
    assert len(embedding.vectors[0]) == 32


@pytest.mark.parametrize("pooling", [gguf.PoolingType.CLS, gguf.PoolingType.LAST])
async def test_the_file_decides_the_pooling(
    start: Start, bert: Path, tmp_path: Path, pooling: gguf.PoolingType
) -> None:
    mean = await start(bert)
    other = await start(write_bert(tmp_path / "other.gguf", pooling=pooling))
    assert (mean.info.pooling, other.info.pooling) == ("mean", pooling.name.lower())
    text = ["the cat sat"]
    assert (await mean.embed(text)).vectors != (await other.embed(text)).vectors


async def test_a_reranker_has_no_embeddings(start: Start, ranker: Path) -> None:
    with pytest.raises(UsageError, match="a reranking model scores pairs of texts"):
        await (await start(ranker)).embed(["a cat"])


async def test_more_texts_than_one_batch_holds_keep_their_order(start: Start, bert: Path) -> None:
    runner = await start(bert, num_batch=16)
    texts = [_TEXTS[n % 3] for n in range(150)]
    vectors = (await runner.embed(texts)).vectors
    _assert_same(vectors[3:], vectors[:-3])
    assert not np.allclose(vectors[0], vectors[1], atol=0.1)


async def test_several_requests_at_once_get_their_own_vectors(start: Start, bert: Path) -> None:
    runner = await start(bert)
    alone = [(await runner.embed([text])).vectors[0] for text in _TEXTS]
    answers = await asyncio.gather(*(runner.embed([text]) for text in _TEXTS * 5))
    for number, answer in enumerate(answers):
        expected = alone[number % len(_TEXTS)]
        _assert_same(answer.vectors, [expected])


async def test_a_long_text_is_cut_before_its_closing_token(start: Start, bert: Path) -> None:
    runner = await start(bert)
    long = await runner.embed(["cat " * 200])
    exact = await runner.embed(["cat " * (BERT_CTX - 2)])
    assert long.prompt_tokens == exact.prompt_tokens == BERT_CTX
    _assert_same(long.vectors, exact.vectors)


async def test_a_long_text_is_refused_when_it_may_not_be_cut(start: Start, bert: Path) -> None:
    runner = await start(bert)
    with pytest.raises(InputTooLong, match="the input length exceeds the context length"):
        await runner.embed(["a cat", "cat " * 200], truncate=False)
    assert (await runner.embed(["cat " * (BERT_CTX - 2)], truncate=False)).prompt_tokens == BERT_CTX


async def test_no_text_has_no_vector(start: Start, bert: Path) -> None:
    embedding = await (await start(bert)).embed([])
    assert (embedding.vectors, embedding.prompt_tokens) == ([], 0)


async def test_a_decoder_embeds_with_its_last_token_while_it_generates(
    start: Start, llama: Path
) -> None:
    runner = await start(llama, num_batch=16)
    expected = await runner.embed(["ba be bi", "bo"])
    assert len(expected.vectors[0]) == 64
    quiet, _ = await collect(runner, Generation("ba", Sampling(temperature=0, num_predict=100)))
    busy = asyncio.create_task(
        collect(runner, Generation("ba", Sampling(temperature=0, num_predict=100)))
    )
    for _ in range(5):
        again = await runner.embed(["ba be bi", "bo"])
        _assert_same(again.vectors, expected.vectors)
    assert (await busy)[0] == quiet


async def test_a_decoder_reads_a_text_longer_than_a_batch(start: Start, llama: Path) -> None:
    text = "ba be bi bo bu " * 10
    small = await (await start(llama, num_batch=16)).embed([text])
    large = await (await start(llama, num_batch=512)).embed([text])
    assert small.prompt_tokens == large.prompt_tokens > 16
    _assert_same(small.vectors, large.vectors)


async def test_earlier_texts_leave_no_trace_in_the_cache(start: Start, llama: Path) -> None:
    runner = await start(llama, num_ctx=256)
    alone = await runner.embed(["ba " * 200])
    for _ in range(3):
        await runner.embed(["be " * 40] * 30)
        _assert_same((await runner.embed(["ba " * 200])).vectors, alone.vectors)


async def test_an_encoder_embeds_while_another_runner_generates(
    start: Start, llama: Path, bert: Path
) -> None:
    writer, encoder = await start(llama), await start(bert)
    request = Generation("ba", Sampling(temperature=0, num_predict=5000))
    async with aclosing(writer.generate(request)) as stream:
        for _ in range(5):
            assert isinstance(await anext(stream), Piece)
            assert len((await encoder.embed(["a cat"])).vectors) == 1


async def test_an_encoder_refuses_to_generate(start: Start, bert: Path) -> None:
    runner = await start(bert)
    with pytest.raises(UsageError, match="a bert model can only embed text"):
        await collect(runner, Generation("why"))
    assert (await runner.embed(["a cat"])).prompt_tokens == 4
