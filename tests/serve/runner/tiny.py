"""Tiny real models made on the spot: llamas, berts and LoRAs of random weights, a few 100 kB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gguf
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

LLAMA_CTX = 512
BERT_CTX = 64
BERT_WIDTH = 32
_SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]
LLAMA_WORDS = [f"▁{syllable}" for syllable in _SYLLABLES] + _SYLLABLES
BERT_WORDS = ["▁why", "▁is", "▁the", "▁sky", "▁blue", "▁?", "▁a", "▁cat", "▁sat", "ted"]


def write_llama(
    path: Path, *, seed: int = 0, embd: int = 64, ctx: int = LLAMA_CTX, experts: int = 0
) -> Path:
    """A two-layer llama in f32 whose likeliest tokens are always syllables, never the end token.

    `experts` is what the file claims to have; it has none.
    """
    heads, kv_heads, layers, feed = 4, 2, 2, 2 * embd
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(ctx)
    writer.add_embedding_length(embd)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(feed)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(embd // heads)
    if experts:
        writer.add_expert_count(experts)
    writer.add_chat_template("{{ messages[-1].content }}")
    vocabulary = _add_sentencepiece(writer)
    random = np.random.default_rng(seed)

    def tensor(name: str, *shape: int, scale: float = 0.1) -> None:
        writer.add_tensor(name, _normal(random, shape, scale))

    tensor("token_embd.weight", vocabulary, embd, scale=1.0)
    writer.add_tensor("output_norm.weight", np.ones(embd, np.float32))
    head = _normal(random, (vocabulary, embd), 0.3)
    head[: vocabulary - len(LLAMA_WORDS)] = 0.0
    writer.add_tensor("output.weight", head)
    for layer in range(layers):
        block = f"blk.{layer}"
        kv_size = embd * kv_heads // heads
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}.{norm}.weight", np.ones(embd, np.float32))
        tensor(f"{block}.attn_q.weight", embd, embd)
        tensor(f"{block}.attn_k.weight", kv_size, embd)
        tensor(f"{block}.attn_v.weight", kv_size, embd)
        tensor(f"{block}.attn_output.weight", embd, embd)
        tensor(f"{block}.ffn_gate.weight", feed, embd)
        tensor(f"{block}.ffn_up.weight", feed, embd)
        tensor(f"{block}.ffn_down.weight", embd, feed)
    return _close(writer, path)


def write_bert(path: Path, *, pooling: gguf.PoolingType = gguf.PoolingType.MEAN) -> Path:
    """A two-layer bert in f32 with a WordPiece vocabulary of a dozen words."""
    embd, feed, layers = BERT_WIDTH, 64, 2
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_context_length(BERT_CTX)
    writer.add_embedding_length(embd)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(feed)
    writer.add_head_count(2)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(pooling)
    vocabulary = _add_wordpiece(writer)
    random = np.random.default_rng(1)

    def affine(name: str, *shape: int) -> None:
        writer.add_tensor(f"{name}.weight", _normal(random, shape, 0.2))
        writer.add_tensor(f"{name}.bias", _normal(random, shape[:1], 0.1))

    writer.add_tensor("token_embd.weight", _normal(random, (vocabulary, embd), 1.0))
    writer.add_tensor("token_types.weight", _normal(random, (2, embd), 0.1))
    writer.add_tensor("position_embd.weight", _normal(random, (BERT_CTX, embd), 0.3))
    affine("token_embd_norm", embd)
    for layer in range(layers):
        block = f"blk.{layer}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            affine(f"{block}.{name}", embd, embd)
        affine(f"{block}.ffn_up", feed, embd)
        affine(f"{block}.ffn_down", embd, feed)
        affine(f"{block}.attn_output_norm", embd)
        affine(f"{block}.layer_output_norm", embd)
    if pooling is gguf.PoolingType.RANK:
        affine("cls", embd, embd)
        affine("cls.output", 1, embd)
    return _close(writer, path)


def write_adapter(
    path: Path, *, strength: float, seed: int = 1, architecture: str = "llama", width: int = 64
) -> str:
    """A LoRA of rank 2 for the second layer of a tiny model's attention."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", strength)
    random = np.random.default_rng(seed)
    for name, shape in (("lora_a", (2, width)), ("lora_b", (width, 2))):
        writer.add_tensor(f"blk.1.attn_output.weight.{name}", _normal(random, shape, 1.0))
    return str(_close(writer, path))


def _add_sentencepiece(writer: gguf.GGUFWriter) -> int:
    kinds = gguf.TokenType
    letters = sorted(set("".join(_SYLLABLES)) | {"▁", "c", "h", "w", "y", ".", ","})
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256]
    words = letters + LLAMA_WORDS
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens + words)
    writer.add_token_scores([0.0] * len(tokens) + [-float(n) for n in range(len(words))])
    writer.add_token_types(types + [kinds.NORMAL] * len(words))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    return len(tokens) + len(words)


def _add_wordpiece(writer: gguf.GGUFWriter) -> int:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *BERT_WORDS]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_type_count(2)
    writer.add_token_list(tokens)
    writer.add_token_types([3, 2, 3, 3, 3] + [1] * len(BERT_WORDS))
    writer.add_unk_token_id(1)
    writer.add_sep_token_id(3)
    writer.add_pad_token_id(0)
    writer.add_mask_token_id(4)
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(3)
    return len(tokens)


def _normal(
    random: np.random.Generator, shape: tuple[int, ...], scale: float
) -> npt.NDArray[np.float32]:
    return (random.standard_normal(shape) * scale).astype(np.float32)


def _close(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
