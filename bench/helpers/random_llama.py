"""Llama models of any size with random weights: speed depends on the shape alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import gguf


@dataclass(frozen=True)
class Shape:
    """The sizes of a llama; `context` is tokens; `experts` are claimed, and have no weights."""

    width: int
    feed: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    context: int = 8192
    experts: int = 0


def write_model(path: Path, shape: Shape) -> Path:
    """float16 weights that never end a text by themselves: the end token's output row is zero.

    The vocabulary is SentencePiece's form: three specials, 256 bytes, printable characters, words
    ` w0`, ` w1`, and so on, one token each.
    """
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    if shape.experts:
        writer.add_expert_count(shape.experts)
    _add_vocabulary(writer, shape.vocabulary)
    random = np.random.default_rng(0)

    def add(name: str, *sizes: int) -> None:
        values = random.standard_normal(sizes, dtype=np.float32) / sizes[-1] ** 0.5
        writer.add_tensor(f"{name}.weight", values.astype(np.float16))

    add("token_embd", shape.vocabulary, shape.width)
    output = random.standard_normal((shape.vocabulary, shape.width), dtype=np.float32)
    output[:3] = 0
    writer.add_tensor("output.weight", output.astype(np.float16))
    writer.add_tensor("output_norm.weight", np.ones(shape.width, np.float32))
    kv_width = shape.width * shape.kv_heads // shape.heads
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}.{norm}.weight", np.ones(shape.width, np.float32))
        for part, rows in (("q", shape.width), ("k", kv_width), ("v", kv_width)):
            add(f"{block}.attn_{part}", rows, shape.width)
        add(f"{block}.attn_output", shape.width, shape.width)
        for part in ("ffn_gate", "ffn_up"):
            add(f"{block}.{part}", shape.feed, shape.width)
        add(f"{block}.ffn_down", shape.width, shape.feed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: gguf.GGUFWriter, size: int) -> None:
    special = ["<unk>", "<s>", "</s>"]
    raw = [f"<0x{byte:02X}>" for byte in range(256)]
    characters = ["▁", *(chr(code) for code in range(0x21, 0x7F))]
    # Pieces that merge step by step: `▁w`, then one digit after the other.
    words = ["▁w", *(f"▁w{number}" for number in range(size))]
    tokens = (special + raw + characters + words)[:size]
    scores = [0.0] * (len(special) + len(raw)) + [
        -float(place) for place in range(size - len(special) - len(raw))
    ]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores[:size])
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * (size - 259))
