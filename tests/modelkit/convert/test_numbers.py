"""What the converted models compute in llama.cpp against what transformers computes in float32."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fixtures.oracle.models import LLAMAS, SENTENCES, VALUES, folder, token_sequences
from tests.modelkit.convert import engine

# The first numbers of the vector for "Why is the sky blue?" in Ollama's documentation
DOCUMENTED = [
    0.010071029,
    -0.0017594862,
    0.05007221,
    0.04692972,
    0.054916814,
    0.008599704,
    0.105441414,
    -0.025878139,
    0.12958129,
    0.031952348,
]


@pytest.mark.parametrize("model", LLAMAS)
def test_logits_are_those_of_transformers(
    model: str, converted: Callable[[str, str], Path]
) -> None:
    config = json.loads((folder(model) / "config.json").read_text(encoding="utf-8"))
    expected = np.load(VALUES / f"logits_{model}.npy")
    sequences = token_sequences(config["vocab_size"])
    found = np.array(engine.logits(converted(model, "f32"), sequences), dtype=np.float32)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() / expected.std() < 1e-4
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


def _ids(texts: tuple[str, ...]) -> list[list[int]]:
    """Token ids as the reference tokenizer gives them."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder("all-minilm") / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [tokenizer.encode(text).ids for text in texts]


@pytest.mark.parametrize("outtype", ["f16", "f32"])
def test_embeddings_are_those_of_transformers(
    outtype: str, converted: Callable[[str, str], Path]
) -> None:
    expected = np.load(VALUES / "embeddings.npy")
    found = np.array(engine.embeddings(converted("all-minilm", outtype), _ids(SENTENCES)))
    cosines = (found * expected).sum(axis=1)
    assert cosines.shape == (20,)
    assert cosines.min() >= 0.99999


def test_the_documented_embedding_comes_out(converted: Callable[[str, str], Path]) -> None:
    (ids,) = engine.tokens(converted("all-minilm", "f16"), ["Why is the sky blue?"])
    assert len(ids) == 8
    (vector,) = engine.embeddings(converted("all-minilm", "f16"), [ids])
    assert np.abs(np.array(vector[:10]) - DOCUMENTED).max() < 5e-5
