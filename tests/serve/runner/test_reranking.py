"""Scores of pairs of texts, against the head computed by hand over the same model's vectors."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from modelkit.errors import UsageError
from modelkit.gguf import read_header
from modelkit.serve.types import InputTooLong
from tests.serve.runner.conftest import Start
from tests.serve.runner.tiny import BERT_CTX, write_bert

_QUERY = "why is the sky blue?"
_DOCUMENTS = ["the sky is blue", "a cat sat", "why", "the cat is blue"]


def _tensor(path: Path, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    tensor = next(tensor for tensor in read_header(path).tensors if tensor.name == name)
    raw = path.read_bytes()[tensor.offset : tensor.offset + tensor.nbytes]
    return np.frombuffer(raw, np.float32).reshape(tensor.shape[::-1])


async def test_a_score_is_the_head_over_the_vector_of_both_texts(
    start: Start, ranker: Path, tmp_path: Path
) -> None:
    scores = await (await start(ranker)).rerank(_QUERY, _DOCUMENTS)
    # The same weights, pooled at the first token: [CLS] query [SEP] document [SEP].
    plain = await start(write_bert(tmp_path / "cls.gguf", pooling=gguf.PoolingType.CLS))
    pairs = [f"{_QUERY}[SEP]{document}" for document in _DOCUMENTS]
    vectors = await plain.embed(pairs)
    assert scores.prompt_tokens == vectors.prompt_tokens
    hidden = np.array(vectors.vectors) @ _tensor(ranker, "cls.weight").T
    hidden = np.tanh(hidden + _tensor(ranker, "cls.bias"))
    expected = hidden @ _tensor(ranker, "cls.output.weight").T + _tensor(ranker, "cls.output.bias")
    assert np.allclose(np.array(scores.vectors), expected, atol=2e-3)
    assert np.ptp(scores.vectors) > 0.02


async def test_many_documents_keep_their_order(start: Start, ranker: Path) -> None:
    runner = await start(ranker)
    few = await runner.rerank(_QUERY, _DOCUMENTS)
    many = await runner.rerank(_QUERY, _DOCUMENTS * 30)
    assert np.allclose(many.vectors, few.vectors * 30, atol=1e-3)


async def test_a_long_document_is_cut_and_the_query_is_not(start: Start, ranker: Path) -> None:
    runner = await start(ranker)
    scores = await runner.rerank(_QUERY, ["cat " * 500])
    assert scores.prompt_tokens == BERT_CTX
    with pytest.raises(InputTooLong):
        await runner.rerank(_QUERY, ["cat " * 500], truncate=False)
    with pytest.raises(InputTooLong):
        await runner.rerank("cat " * 500, ["a cat"])


async def test_an_embedding_model_cannot_rank(start: Start, bert: Path) -> None:
    with pytest.raises(UsageError, match="cannot rank documents"):
        await (await start(bert)).rerank(_QUERY, _DOCUMENTS)
