"""A LoRA adapter in PEFT's layout to a GGUF adapter for the base model's weights.

In: adapter_config.json and adapter_model.safetensors, each matrix W replaced by W + s·B·A with
s = alpha / r (https://huggingface.co/docs/peft/package_reference/lora). Out: the GGUF that
llama.cpp loads, which computes the same scale from adapter.lora.alpha and the rank it sees.
"""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from modelkit.convert import arch
from modelkit.convert.checkpoint import Checkpoint
from modelkit.convert.config import Config
from modelkit.convert.pipeline import write
from modelkit.convert.plan import CONVERTIBLE, F32, Architecture, PlannedTensor, Rule
from modelkit.convert.safetensors import SourceTensor, read_tensors
from modelkit.convert.shown import shown
from modelkit.errors import ConvertError, UsageError
from modelkit.gguf import GGUFHeader, SupportsWrite, TensorPlan
from modelkit.gguf.types import Value
from modelkit.progress import Report

STATUS = "converting adapter"
MAX_ALPHA = 1e9
_CONFIG = "adapter_config.json"
_TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<part>[AB])\.weight")
# config.json's names for what a GGUF header says of the base model
_SIZES = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
}
# What training may have changed beside the two matrices, and the values that mean it did not.
_PLAIN: Mapping[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "use_dora": (None, False),
    "use_qalora": (None, False),
    "fan_in_fan_out": (None, False),
    "bias": (None, "none"),
    "lora_bias": (None, False),
    "modules_to_save": (None, []),
    "trainable_token_indices": (None, [], {}),
    "alpha_pattern": (None, {}),
    "layer_replication": (None,),
    # The other ways to start, such as PiSSA, change the base's weights as well.
    "init_lora_weights": (None, True, False, "gaussian", "eva", "orthogonal"),
}


class _Pair(NamedTuple):
    """The two factors of one matrix's change, (r, in) and (out, r), and the rule of the matrix."""

    rule: Rule
    a: SourceTensor
    b: SourceTensor


def convert_lora(
    files: Mapping[str, Path], base: GGUFHeader, out: SupportsWrite, report: Report
) -> None:
    """Write the adapter as a GGUF file to `out`, front to back, in float32.

    `files` maps names inside the adapter's folder to paths. Raises UsageError for a base model
    that cannot have such an adapter, ConvertError for an adapter that does not fit the base or
    does more than LoRA; what was already written to `out` is then useless.
    """
    checkpoint = Checkpoint(files)
    settings = Config(checkpoint.json(_CONFIG))
    for key, allowed in _PLAIN.items():
        _require(settings, key, allowed)
    pairs = list(_pairs(_tensors(files), *_described(base)))
    metadata = {
        "general.architecture": Value.string(base.architecture),
        "general.type": Value.string("adapter"),
        "adapter.type": Value.string("lora"),
        "adapter.lora.alpha": Value.float32(_alpha(settings, pairs)),
    }
    tensors = [tensor for pair in pairs for tensor in _planned(pair)]
    write(out, metadata, tensors, report, STATUS)


def _require(settings: Config, key: str, allowed: tuple[object, ...]) -> None:
    if settings.get(key) not in allowed:
        raise ConvertError(
            f"{_CONFIG}: {key} is {shown(settings.get(key))}, which is not supported",
            hint="merge the adapter into its base model and build from the result",
        )


def _described(base: GGUFHeader) -> tuple[Architecture, Config]:
    """The architecture of the base model and the part of its config.json that names need."""
    if base.architecture != "llama":
        raise UsageError(
            f"unsupported architecture: adapters in safetensors fit llama models, "
            f"this model is {base.architecture}",
            hint="convert the adapter to GGUF first, with llama.cpp's convert_lora_to_gguf.py",
        )
    name = base.architecture
    sizes = {key: base.metadata.get(f"{name}.{tail}") for key, tail in _SIZES.items()}
    shapes = {tensor.name: tensor.shape for tensor in base.tensors}
    embeddings = shapes.get("token_embd.weight", (0, 0))
    values = {
        **sizes,
        "model_type": name,
        "vocab_size": embeddings[-1],
        "tie_word_embeddings": "output.weight" not in shapes,
    }
    architecture = arch.find(Config(values))
    return architecture, Config(values, architecture.defaults)


def _tensors(files: Mapping[str, Path]) -> dict[str, dict[str, SourceTensor]]:
    """The factors by module and by `A` or `B`, in the order of the files."""
    found: dict[str, dict[str, SourceTensor]] = {}
    for name in sorted(name for name in files if name.endswith(".safetensors")):
        for tensor in read_tensors(files[name], name):
            match = _TENSOR.fullmatch(tensor.name)
            if match is None:
                raise ConvertError(
                    f"unexpected tensor {shown(tensor.name)} in the adapter",
                    hint="only LoRA matrices in PEFT's layout can be converted",
                )
            found.setdefault(match["module"], {})[match["part"]] = tensor
    return found


def _pairs(
    found: dict[str, dict[str, SourceTensor]], architecture: Architecture, config: Config
) -> Iterator[_Pair]:
    """Each matrix of the base that the adapter changes, in the base's order."""
    if not found:
        raise ConvertError("the adapter has no tensors")
    waiting = {f"{module}.weight": parts for module, parts in found.items()}
    for rule in architecture.rules(config):
        parts = waiting.pop(rule.source, None)
        if parts is None:
            continue
        if len(parts) != 2:
            raise ConvertError(f"{rule.source} has only one of the two matrices of a LoRA")
        yield _checked(_Pair(rule, parts["A"], parts["B"]))
    if waiting:
        raise ConvertError(
            f"the base model has no tensor {shown(next(iter(waiting)))}",
            hint="use the base model that the adapter was trained on",
        )


def _checked(pair: _Pair) -> _Pair:
    """The pair, if its shapes and types go together with each other and the base."""
    rule, a, b = pair
    for tensor in (a, b):
        if tensor.dtype not in CONVERTIBLE:
            raise ConvertError(f"tensor {tensor.name} has type {tensor.dtype}, not a float")
    rank = a.shape[0] if a.shape else 0
    if rank == 0 or len(rule.shape) != 2:
        raise ConvertError(f"tensor {a.name} has shape {list(a.shape)}, not that of a LoRA matrix")
    rows, columns = rule.shape
    if a.shape != (rank, columns) or b.shape != (rows, rank):
        raise ConvertError(
            f"the adapter's {list(b.shape)} times {list(a.shape)} does not fit {rule.source}, "
            f"which is {list(rule.shape)}",
            hint="use the base model that the adapter was trained on",
        )
    return pair


def _alpha(settings: Config, pairs: list[_Pair]) -> float:
    """The number that the engine divides by the rank; rsLoRA divides by its square root."""
    alpha = settings.get("lora_alpha")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha < MAX_ALPHA:
        raise ConvertError(f"{_CONFIG}: lora_alpha is {shown(alpha)}, not a positive number")
    if settings.get("use_rslora") in (None, False):
        return alpha
    ranks = {pair.a.shape[0] for pair in pairs}
    if len(ranks) > 1:
        raise ConvertError(
            f"{_CONFIG}: use_rslora with several ranks is not supported",
            hint="merge the adapter into its base model and build from the result",
        )
    return alpha * math.sqrt(ranks.pop())


def _planned(pair: _Pair) -> Iterator[PlannedTensor]:
    """The factors as GGUF tensors; what reorders the rows of W reorders those of B."""
    rule = pair.rule
    for tail, source, heads in (("lora_a", pair.a, 0), ("lora_b", pair.b, rule.heads)):
        plan = TensorPlan(f"{rule.target}.{tail}", F32, tuple(reversed(source.shape)))
        yield PlannedTensor(plan, source, heads)
