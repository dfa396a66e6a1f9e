"""Llama (1 to 3.x) and the many models that share its layout."""

import struct
from collections.abc import Iterator

from modelkit.convert.checkpoint import Checkpoint
from modelkit.convert.config import Config
from modelkit.convert.plan import F32, Architecture, PlannedTensor, Rule
from modelkit.convert.rope import Rope
from modelkit.convert.tokenizer.special import prefix_space
from modelkit.errors import ConvertError
from modelkit.gguf.types import Value
from modelkit.gguf.writer import TensorPlan

DEFAULTS: dict[str, object] = {
    "attention_bias": False,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "max_position_embeddings": 2048,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "vocab_size": 32000,
}


def _head_counts(config: Config) -> tuple[int, int, int]:
    """Query heads, key-value heads, width of a head."""
    heads = config.integer("num_attention_heads")
    kv_heads = config.optional_integer("num_key_value_heads") or heads
    width = config.optional_integer("head_dim") or config.integer("hidden_size") // heads
    if heads % kv_heads or width == 0 or width % 2:
        raise ConvertError(
            f"config.json: {heads} heads, {kv_heads} key-value heads and a width of {width} "
            "per head do not go together"
        )
    return heads, kv_heads, width


def _check(config: Config) -> None:
    config.require("hidden_act", "silu", "swish")


def _metadata(config: Config, checkpoint: Checkpoint) -> dict[str, Value]:
    heads, kv_heads, width = _head_counts(config)
    return {
        "llama.block_count": Value.uint32(config.integer("num_hidden_layers")),
        "llama.context_length": Value.uint32(config.integer("max_position_embeddings")),
        "llama.embedding_length": Value.uint32(config.integer("hidden_size")),
        "llama.feed_forward_length": Value.uint32(config.integer("intermediate_size")),
        "llama.attention.head_count": Value.uint32(heads),
        "llama.attention.head_count_kv": Value.uint32(kv_heads),
        "llama.attention.key_length": Value.uint32(width),
        "llama.attention.value_length": Value.uint32(width),
        "llama.attention.layer_norm_rms_epsilon": Value.float32(config.number("rms_norm_eps")),
        "llama.rope.dimension_count": Value.uint32(width),
        **Rope.read(config).metadata("llama"),
        "llama.vocab_size": Value.uint32(config.integer("vocab_size")),
        **prefix_space(checkpoint),
    }


def _rules(config: Config) -> Iterator[Rule]:
    hidden, vocabulary = config.integer("hidden_size"), config.integer("vocab_size")
    yield Rule("token_embd.weight", "model.embed_tokens.weight", (vocabulary, hidden))
    for layer in range(config.integer("num_hidden_layers")):
        yield from _layer(config, f"blk.{layer}", f"model.layers.{layer}")
    yield Rule("output_norm.weight", "model.norm.weight", (hidden,))
    if not config.boolean("tie_word_embeddings"):
        yield Rule("output.weight", "lm_head.weight", (vocabulary, hidden))


def _layer(config: Config, target: str, source: str) -> Iterator[Rule]:
    hidden, ffn = config.integer("hidden_size"), config.integer("intermediate_size")
    heads, kv_heads, width = _head_counts(config)
    yield Rule(f"{target}.attn_norm.weight", f"{source}.input_layernorm.weight", (hidden,))
    for ours, theirs, rows, columns, turned in (
        ("attn_q", "self_attn.q_proj", heads * width, hidden, heads),
        ("attn_k", "self_attn.k_proj", kv_heads * width, hidden, kv_heads),
        ("attn_v", "self_attn.v_proj", kv_heads * width, hidden, 0),
        ("attn_output", "self_attn.o_proj", hidden, heads * width, 0),
        ("ffn_gate", "mlp.gate_proj", ffn, hidden, 0),
        ("ffn_up", "mlp.up_proj", ffn, hidden, 0),
        ("ffn_down", "mlp.down_proj", hidden, ffn, 0),
    ):
        weight, bias = f"{source}.{theirs}.weight", f"{source}.{theirs}.bias"
        yield Rule(f"{target}.{ours}.weight", weight, (rows, columns), turned)
        yield Rule(f"{target}.{ours}.bias", bias, (rows,), turned, optional=True)
    yield Rule(f"{target}.ffn_norm.weight", f"{source}.post_attention_layernorm.weight", (hidden,))


def _rename(name: str, config: Config) -> str | None:
    # Computed from the configuration, not weights
    if name.endswith((".rotary_emb.inv_freq", ".attention.masked_bias")):
        return None
    # With tied embeddings a stored output matrix is a copy that nobody reads
    if name == "lm_head.weight" and config.boolean("tie_word_embeddings"):
        return None
    return name


def _computed(config: Config) -> list[PlannedTensor]:
    rope = Rope.read(config)
    if rope.kind != "llama3":
        return []
    factors = rope.llama3_factors(_head_counts(config)[2])
    data = struct.pack(f"<{len(factors)}f", *factors)
    return [PlannedTensor(TensorPlan("rope_freqs.weight", F32, (len(factors),)), data)]


ARCHITECTURE = Architecture("llama", DEFAULTS, _check, _metadata, _rules, _rename, _computed)
