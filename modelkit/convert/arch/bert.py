"""BERT as an embedding model: the encoder without its pooler and without task heads."""

from collections.abc import Iterator

from gguf import PoolingType

from modelkit.convert.checkpoint import Checkpoint
from modelkit.convert.config import Config
from modelkit.convert.plan import Architecture, PlannedTensor, Rule
from modelkit.errors import ConvertError
from modelkit.gguf.types import Value

DEFAULTS: dict[str, object] = {
    "hidden_act": "gelu",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "position_embedding_type": "absolute",
    "type_vocab_size": 2,
    "vocab_size": 30522,
}
# sentence-transformers' pooling modes in llama.cpp's terms
_POOLING = {"mean": PoolingType.MEAN, "cls": PoolingType.CLS, "lasttoken": PoolingType.LAST}


def _check(config: Config) -> None:
    config.require("hidden_act", "gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_python")
    config.require("position_embedding_type", "absolute")


def _metadata(config: Config, checkpoint: Checkpoint) -> dict[str, Value]:
    return {
        "bert.block_count": Value.uint32(config.integer("num_hidden_layers")),
        "bert.context_length": Value.uint32(config.integer("max_position_embeddings")),
        "bert.embedding_length": Value.uint32(config.integer("hidden_size")),
        "bert.feed_forward_length": Value.uint32(config.integer("intermediate_size")),
        "bert.attention.head_count": Value.uint32(config.integer("num_attention_heads")),
        "bert.attention.layer_norm_epsilon": Value.float32(config.number("layer_norm_eps")),
        "bert.attention.causal": Value.boolean(False),
        **_pooling(checkpoint),
        "tokenizer.ggml.token_type_count": Value.uint32(config.integer("type_vocab_size")),
    }


def _pooling(checkpoint: Checkpoint) -> dict[str, Value]:
    """How token vectors become one, if the folder says so (sentence-transformers' modules.json)."""
    if not checkpoint.has("modules.json"):
        return {}
    modules = checkpoint.any_json("modules.json")
    for module in modules if isinstance(modules, list) else []:
        if isinstance(module, dict) and str(module.get("type")).endswith("Pooling"):
            name = f"{module.get('path')}/config.json"
            return {"bert.pooling_type": Value.uint32(_pooling_type(checkpoint.json(name), name))}
    return {}


def _pooling_type(config: dict[str, object], name: str) -> PoolingType:
    flags = ("mean_tokens", "mean"), ("cls_token", "cls"), ("lasttoken", "lasttoken")
    chosen = [mode for flag, mode in flags if config.get(f"pooling_mode_{flag}") is True]
    mode = chosen[0] if chosen else config.get("pooling_mode")
    if mode not in _POOLING:
        raise ConvertError(
            f"{name}: unsupported pooling", hint=f"supported: {', '.join(sorted(_POOLING))}"
        )
    return _POOLING[str(mode)]


def _rules(config: Config) -> Iterator[Rule]:
    hidden = config.integer("hidden_size")
    for target, source, rows in (
        ("token_embd", "word_embeddings", config.integer("vocab_size")),
        ("position_embd", "position_embeddings", config.integer("max_position_embeddings")),
        ("token_types", "token_type_embeddings", config.integer("type_vocab_size")),
    ):
        wide = target != "token_embd"
        name = f"embeddings.{source}.weight"
        yield Rule(f"{target}.weight", name, (rows, hidden), always_f32=wide)
    yield from _both("token_embd_norm", "embeddings.LayerNorm", (hidden,))
    for layer in range(config.integer("num_hidden_layers")):
        yield from _layer(config, f"blk.{layer}", f"encoder.layer.{layer}")


def _layer(config: Config, target: str, source: str) -> Iterator[Rule]:
    hidden, ffn = config.integer("hidden_size"), config.integer("intermediate_size")
    for ours, theirs, shape in (
        ("attn_q", "attention.self.query", (hidden, hidden)),
        ("attn_k", "attention.self.key", (hidden, hidden)),
        ("attn_v", "attention.self.value", (hidden, hidden)),
        ("attn_output", "attention.output.dense", (hidden, hidden)),
        ("attn_output_norm", "attention.output.LayerNorm", (hidden,)),
        ("ffn_up", "intermediate.dense", (ffn, hidden)),
        ("ffn_down", "output.dense", (hidden, ffn)),
        ("layer_output_norm", "output.LayerNorm", (hidden,)),
    ):
        yield from _both(f"{target}.{ours}", f"{source}.{theirs}", shape)


def _both(target: str, source: str, shape: tuple[int, ...]) -> Iterator[Rule]:
    yield Rule(f"{target}.weight", f"{source}.weight", shape)
    yield Rule(f"{target}.bias", f"{source}.bias", shape[:1])


def _rename(name: str, _config: Config) -> str | None:
    name = name.removeprefix("bert.")
    if name.startswith(("pooler.", "cls.")) or name == "embeddings.position_ids":
        return None
    # Names of checkpoints that came from TensorFlow
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name


def _computed(_config: Config) -> list[PlannedTensor]:
    return []


ARCHITECTURE = Architecture("bert", DEFAULTS, _check, _metadata, _rules, _rename, _computed)
