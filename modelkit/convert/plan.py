"""What will be written: each output tensor with the place its data comes from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from modelkit.convert.checkpoint import Checkpoint
from modelkit.convert.config import Config
from modelkit.convert.safetensors import SourceTensor
from modelkit.convert.scales import FLOAT8
from modelkit.convert.shown import shown
from modelkit.errors import ConvertError, UsageError
from modelkit.gguf.types import TENSOR_TYPES_BY_NAME, TensorType, Value
from modelkit.gguf.writer import TensorPlan

OUTPUT_TYPES = ("auto", "f32", "f16", "bf16")
F32, F16, BF16 = (TENSOR_TYPES_BY_NAME[name] for name in ("F32", "F16", "BF16"))
CONVERTIBLE = ("F32", "F16", "BF16", "F64")


class Rule(NamedTuple):
    """One tensor an architecture has: its name here, its name and shape in the checkpoint.

    `heads` > 0: the rows of each of so many heads are reordered (see `stream`). `always_f32`: the
    engine wants it in float32. `optional`: absent from some checkpoints.
    """

    target: str
    source: str
    shape: tuple[int, ...]
    heads: int = 0
    always_f32: bool = False
    optional: bool = False


@dataclass(frozen=True)
class PlannedTensor:
    """An output tensor and its data: a tensor of the checkpoint, or bytes made for it."""

    plan: TensorPlan
    source: SourceTensor | bytes
    heads: int = 0


@dataclass(frozen=True)
class Architecture:
    """How checkpoints of one `model_type` become GGUF files of the architecture `name`.

    `rename` maps a checkpoint's tensor name to the name the rules use, or to None for tensors that
    are not needed. `computed` lists tensors that are made from the configuration.
    """

    name: str
    defaults: dict[str, object]
    check: Callable[[Config], None]
    metadata: Callable[[Config, Checkpoint], dict[str, Value]]
    rules: Callable[[Config], Iterable[Rule]]
    rename: Callable[[str, Config], str | None]
    computed: Callable[[Config], list[PlannedTensor]]


def output_type(checkpoint: Checkpoint, outtype: str) -> TensorType:
    """The type of the matrices.

    "auto" keeps bfloat16, takes it for float8 too, and float16 for everything else.
    """
    if outtype not in OUTPUT_TYPES:
        raise UsageError(
            f"unknown output type {shown(outtype)}", hint=f"one of {', '.join(OUTPUT_TYPES)}"
        )
    if outtype != "auto":
        return TENSOR_TYPES_BY_NAME[outtype.upper()]
    dtypes = [tensor.dtype for tensor in checkpoint.tensors.values() if len(tensor.shape) > 1]
    if FLOAT8 in dtypes:
        return BF16
    kept = (TENSOR_TYPES_BY_NAME[dtype] for dtype in dtypes if dtype in ("F16", "BF16"))
    return next(kept, F16)


def plan_tensors(
    architecture: Architecture, config: Config, checkpoint: Checkpoint, kind: TensorType
) -> list[PlannedTensor]:
    """Match the checkpoint's tensors with the architecture's; ConvertError if they differ."""
    sources = _renamed(architecture, config, checkpoint)
    planned: list[PlannedTensor] = []
    for rule in architecture.rules(config):
        source = sources.pop(rule.source, None)
        if source is not None:
            planned.append(_planned(rule, source, kind))
        elif not rule.optional:
            raise ConvertError(
                f"tensor {rule.source} is missing from the checkpoint",
                hint="the download may be incomplete, or config.json belongs to another model",
            )
    if sources:
        raise ConvertError(
            f"unexpected tensor {shown(next(iter(sources)))} in the checkpoint",
            hint="this variant of the architecture is not supported",
        )
    return planned + architecture.computed(config)


def _renamed(
    architecture: Architecture, config: Config, checkpoint: Checkpoint
) -> dict[str, SourceTensor]:
    sources: dict[str, SourceTensor] = {}
    for name, tensor in checkpoint.tensors.items():
        renamed = architecture.rename(name, config)
        if renamed in sources:
            raise ConvertError(f"two tensors of the checkpoint mean {renamed}")
        if renamed is not None:
            sources[renamed] = tensor
    return sources


def _planned(rule: Rule, source: SourceTensor, kind: TensorType) -> PlannedTensor:
    if source.shape != rule.shape:
        raise ConvertError(
            f"tensor {rule.source} has shape {list(source.shape)}, "
            f"but config.json means {list(rule.shape)}"
        )
    if source.dtype not in CONVERTIBLE and source.scale is None:
        raise ConvertError(
            f"tensor {rule.source} has type {source.dtype}, which cannot be converted",
            hint="quantized checkpoints are not supported; use one in float32, float16 or bfloat16",
        )
    if len(rule.shape) == 1 or rule.always_f32:
        kind = F32
    plan = TensorPlan(rule.target, kind, tuple(reversed(rule.shape)))
    return PlannedTensor(plan, source, rule.heads)
