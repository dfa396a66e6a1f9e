"""Does the engine work on this machine? Quantizes a tiny model and decodes with it, in children.

A quantized decode is the proof that matters: an engine compiled by a gcc with faulty AMX code loads
every model, computes with F16 weights and crashes on quantized ones.
"""

import math
import operator
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from modelkit.errors import EngineError
from modelkit.gguf import GGUFWriter, SupportsWrite, TensorPlan
from modelkit.gguf.types import TENSOR_TYPES_BY_NAME, Value
from modelkit.quantize.child import CRASH_HINT, Faulty, run_worker
from modelkit.quantize.run import quantize

PROBED_TYPES = ("Q8_0", "Q4_0", "Q4_K_M")
_WIDTH = 256  # the smallest that every quantization type takes
_VOCABULARY = 64
_TOKENS = [1, 2, 3, 4, 5, 6, 7, 8]
_MIN_COSINE = 0.9  # 4-bit noise on random weights stays above 0.98


@dataclass(frozen=True)
class EngineReport:
    """A working engine: llama-cpp-python's version, llama.cpp's CPU features, types tried.

    repacks is False where it works only without rearranging the weights for the CPU: slower.
    """

    version: str
    features: str
    types: tuple[str, ...]
    repacks: bool = True


def probe_engine(types: Sequence[str] = PROBED_TYPES) -> EngineReport:
    """Quantize to each type and decode; takes about a second a type.

    Raises EngineError when llama.cpp is missing, crashes or computes wrong numbers.
    """
    with tempfile.TemporaryDirectory(prefix="modelkit-probe-") as folder:
        plain = Path(folder, "f16.gguf")
        with plain.open("wb") as out:
            write_tiny_model(out)
        models = {name: Path(folder, f"{name}.gguf") for name in types}
        for name, path in models.items():
            quantize(plain, path, name)
        repacks = True
        try:
            features = _compare(plain, models, repack=True)
        except Faulty:
            repacks = False
            features = _compare(plain, models, repack=False)
    return EngineReport(version("llama-cpp-python"), features, tuple(types), repacks)


def _compare(plain: Path, models: Mapping[str, Path], *, repack: bool) -> str:
    """Check that quantized models say about what the plain one does; returns the CPU features."""
    expected, features = _decode(plain, repack)
    for name, path in models.items():
        actual, _ = _decode(path, repack)
        if not _cosine(expected, actual) > _MIN_COSINE:  # also when a logit is NaN
            raise EngineError(
                f"the engine computes wrong numbers with {name} weights", hint=CRASH_HINT
            )
    return features


def _decode(path: Path, repack: bool) -> tuple[list[float], str]:
    """The logits after the probe's tokens, and the CPU features that llama.cpp uses."""
    request = {"call": "decode", "path": str(path), "tokens": _TOKENS, "repack": repack}
    with closing(run_worker(**request)) as messages:
        for message in messages:
            if "error" in message:
                raise EngineError(f"the engine failed: {message['error']}", hint=CRASH_HINT)
            if "logits" in message:
                return message["logits"], message["features"].strip(" |")
    raise EngineError("the engine gave no answer", hint=CRASH_HINT)


def _cosine(left: list[float], right: list[float]) -> float:
    dot: float = sum(map(operator.mul, left, right))
    return dot / (math.hypot(*left) * math.hypot(*right))


def write_tiny_model(out: SupportsWrite, layers: int = 1, tensor_type: str = "F16") -> None:
    """Write a llama of random weights, without a tokenizer; the same bytes every time.

    `tensor_type` is F32 or F16 and holds for the matrices; norms are F32.
    """
    import numpy as np

    kinds = {2: TENSOR_TYPES_BY_NAME[tensor_type], 1: TENSOR_TYPES_BY_NAME["F32"]}
    plans = [TensorPlan(name, kinds[len(shape)], shape) for name, shape in _shapes(layers).items()]
    writer = GGUFWriter(out, _metadata(layers, kinds[2].id), plans)
    random = np.random.default_rng(0)
    for plan in plans:
        weights = random.normal(0, 0.05, plan.shape[::-1])
        writer.write_tensor([weights.astype(f"<f{plan.type.size}").tobytes()])
    writer.finish()


def _metadata(layers: int, file_type: int) -> dict[str, Value]:
    numbers = {
        "general.file_type": file_type,
        "llama.context_length": 256,
        "llama.embedding_length": _WIDTH,
        "llama.block_count": layers,
        "llama.feed_forward_length": _WIDTH,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.rope.dimension_count": _WIDTH // 4,
        "llama.vocab_size": _VOCABULARY,
    }
    return {
        "general.architecture": Value.string("llama"),
        "general.name": Value.string("modelkit-probe"),
        **{key: Value.uint32(number) for key, number in numbers.items()},
        "llama.attention.layer_norm_rms_epsilon": Value.float32(1e-5),
        "tokenizer.ggml.model": Value.string("none"),
    }


def _shapes(layers: int) -> dict[str, tuple[int, ...]]:
    """Tensor shapes by name, fastest dimension first."""
    square = (_WIDTH, _WIDTH)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (_WIDTH, _VOCABULARY),
        "output_norm.weight": (_WIDTH,),
        "output.weight": (_WIDTH, _VOCABULARY),
    }
    for layer in range(layers):
        block = f"blk.{layer}"
        for norm in ("attn_norm", "ffn_norm"):
            shapes[f"{block}.{norm}.weight"] = (_WIDTH,)
        for matrix in ("attn_q", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
            shapes[f"{block}.{matrix}.weight"] = square
        for matrix in ("attn_k", "attn_v"):
            shapes[f"{block}.{matrix}.weight"] = (_WIDTH, _WIDTH // 2)
    return shapes
