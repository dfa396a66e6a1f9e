"""Tiny real models that do not remember everything: a mamba, and a cohere2 with sliding windows."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from tests.serve.runner.tiny import _add_sentencepiece, _close, _normal

_WIDTH, _LAYERS = 32, 4
WINDOW = 16
_random = np.random.default_rng


def write_mamba(path: Path) -> Path:
    """Its memory is one state per sequence, which cannot go back."""
    writer, random = gguf.GGUFWriter(path, "mamba"), _random(4)
    inner, state, rank, kernel = 2 * _WIDTH, 8, 4, 4
    writer.add_context_length(512)
    writer.add_embedding_length(_WIDTH)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(_LAYERS)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    writer.add_layer_norm_rms_eps(1e-5)
    vocabulary = _add_sentencepiece(writer)
    writer.add_tensor("token_embd.weight", _normal(random, (vocabulary, _WIDTH), 1.0))
    writer.add_tensor("output_norm.weight", np.ones(_WIDTH, np.float32))
    for layer in range(_LAYERS):
        tensors: dict[str, npt.NDArray[np.float32]] = {
            "attn_norm.weight": np.ones(_WIDTH, np.float32),
            "ssm_in.weight": _normal(random, (2 * inner, _WIDTH), 0.3),
            "ssm_conv1d.weight": _normal(random, (inner, kernel), 0.5),
            "ssm_conv1d.bias": _normal(random, (inner,), 0.1),
            "ssm_x.weight": _normal(random, (rank + 2 * state, inner), 0.3),
            "ssm_dt.weight": _normal(random, (inner, rank), 0.3),
            "ssm_dt.bias": _normal(random, (inner,), 0.1),
            "ssm_a": -np.abs(_normal(random, (inner, state), 1.0)),
            "ssm_d": np.ones(inner, np.float32),
            "ssm_out.weight": _normal(random, (_WIDTH, inner), 0.3),
        }
        for name, values in tensors.items():
            writer.add_tensor(f"blk.{layer}.{name}", values)
    return _close(writer, path)


def write_cohere2(path: Path) -> Path:
    """Three of its four layers see the last WINDOW tokens only."""
    writer, random = gguf.GGUFWriter(path, "cohere2"), _random(5)
    heads, feed = 4, 2 * _WIDTH
    writer.add_context_length(512)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(feed)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // heads)
    writer.add_sliding_window(WINDOW)
    writer.add_logit_scale(1.0)
    vocabulary = _add_sentencepiece(writer)
    writer.add_tensor("token_embd.weight", _normal(random, (vocabulary, _WIDTH), 1.0))
    writer.add_tensor("output_norm.weight", np.ones(_WIDTH, np.float32))
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        writer.add_tensor(f"{block}.attn_norm.weight", np.ones(_WIDTH, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"{block}.{name}.weight", _normal(random, (_WIDTH, _WIDTH), 0.4))
        for name in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"{block}.{name}.weight", _normal(random, (feed, _WIDTH), 0.2))
        writer.add_tensor(f"{block}.ffn_down.weight", _normal(random, (_WIDTH, feed), 0.2))
    return _close(writer, path)
