"""Files that are GGUF and no model for this engine: the reason, the file, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import pytest

from modelkit.errors import EngineError
from modelkit.serve.runner.llama.model import Model
from tests.modelkit.gguf_files import write_gguf
from tests.serve.runner.inside import the_log

_LLAMA = {
    "general.architecture": "llama",
    "llama.context_length": 64,
    "llama.embedding_length": 8,
    "llama.block_count": 1,
    "llama.feed_forward_length": 8,
    "llama.attention.head_count": 1,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
}
_WORDS = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "default",
    "tokenizer.ggml.tokens": ["a", "b"],
    "tokenizer.ggml.merges": ["a b"],
}


def _refusal(path: Path) -> str:
    """Why the file does not load, without its path."""
    with pytest.raises(EngineError) as caught:
        Model(str(path), the_log())
    start = f"llama.cpp cannot load {path}: "
    assert caught.value.message.startswith(start)
    assert "\n" not in caught.value.message
    return caught.value.message.removeprefix(start)


@pytest.mark.parametrize(
    ("metadata", "reason", "advice"),
    [
        (
            {"general.architecture": "mamba9"},
            "unknown model architecture: 'mamba9'; ",
            "update llama-cpp-python, or use another model",
        ),
        (
            {"general.architecture": "clip", "clip.has_vision_encoder": True},
            "CLIP cannot be used as main model, ",
            "a projector, which sees or hears for a language model: build the model from both",
        ),
        (
            {**_LLAMA, **_WORDS, "tokenizer.ggml.model": "sparkle"},
            "error loading model vocabulary: unknown tokenizer: 'sparkle'; ",
            "update llama-cpp-python, or use another model, or convert it again",
        ),
        (
            {**_LLAMA, **_WORDS, "tokenizer.ggml.pre": "sparkle"},
            "error loading model vocabulary: unknown pre-tokenizer type: 'sparkle'; ",
            "update llama-cpp-python, or use another model, or convert it again",
        ),
        (
            _LLAMA,
            "error loading model vocabulary: key not found in model: tokenizer.ggml.model; ",
            "convert the model again from a folder that has one",
        ),
        (
            {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora"},
            "error loading model hyperparameters: key not found in model: llama.context_length; ",
            "an adapter is named with ADAPTER, next to the FROM of its model",
        ),
        (
            {**_LLAMA, **_WORDS},
            "check_tensor_dims: tensor 'token_embd.weight' not found",
            "not found",
        ),
    ],
    ids=["architecture", "projector", "tokenizer", "splitter", "words", "adapter", "weights"],
)
def test_the_reason_comes_with_advice(
    tmp_path: Path, metadata: Mapping[str, object], reason: str, advice: str
) -> None:
    said = _refusal(write_gguf(tmp_path / "model.gguf", metadata))
    assert said.startswith(reason)
    assert advice in said


@pytest.mark.parametrize(
    ("name", "number"),
    [("m-00001-of-00002.gguf", 0), ("m-00002-of-00002.gguf", 1), ("sha256-0", 0), ("sha256-1", 1)],
)
def test_a_part_of_a_split_model_is_named_as_one(tmp_path: Path, name: str, number: int) -> None:
    writer = gguf.GGUFWriter(tmp_path / name, "llama")
    writer.add_uint16("split.no", number)
    writer.add_uint16("split.count", 2)
    writer.add_tensor("token_embd.weight", np.zeros((2, 8), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert "one part of a split model: merge them first" in _refusal(tmp_path / name)
