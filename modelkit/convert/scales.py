"""Weights in eight bits, as some models are published: each block of a matrix has a scale.

A weight is its float8 (E4M3) times the scale of its block; the scales of `x.weight` are a matrix of
their own, such as `x.weight_scale_inv`, and config.json says how large the blocks are.
"""

from collections.abc import Mapping
from dataclasses import replace

from modelkit.convert.safetensors import SourceTensor
from modelkit.convert.shown import shown
from modelkit.errors import ConvertError

FLOAT8 = "F8_E4M3"
_SUFFIXES = ("_scale_inv", "_scale", ".scale_inv", ".scale")
_SCALE_TYPES = ("F32", "BF16")


def with_scales(
    tensors: Mapping[str, SourceTensor], config: Mapping[str, object]
) -> dict[str, SourceTensor]:
    """The tensors, those in float8 with their scales, which are no tensors of their own then.

    Raises ConvertError where config.json names no blocks, and for scales that are missing or do
    not fit.
    """
    found = dict(tensors)
    for name, tensor in tensors.items():
        if tensor.dtype != FLOAT8:
            continue
        scale = _scale_name(name, tensors)
        if scale is None:
            raise ConvertError(f"missing fp8 scale companion for tensor {shown(name)}")
        block = _block(config, name)
        _check(tensor, tensors[scale], block)
        found[name] = replace(tensor, scale=found.pop(scale, tensors[scale]), block=block)
    return found


def _scale_name(name: str, tensors: Mapping[str, SourceTensor]) -> str | None:
    stem = name.removesuffix(".weight")
    names = [name + suffix for suffix in _SUFFIXES] + [stem + suffix for suffix in _SUFFIXES[2:]]
    return next((found for found in names if found in tensors), None)


def _block(config: Mapping[str, object], name: str) -> tuple[int, int]:
    about = config.get("quantization_config")
    sizes = about.get("weight_block_size") if isinstance(about, dict) else None
    match sizes:
        case [int(rows), int(columns)] if rows > 0 and columns > 0:
            return rows, columns
    raise ConvertError(
        f"missing fp8 block size metadata for tensor {shown(name)}",
        hint="config.json must have a weight_block_size of two numbers in its quantization_config",
    )


def _check(tensor: SourceTensor, scale: SourceTensor, block: tuple[int, int]) -> None:
    if len(tensor.shape) != 2:
        raise ConvertError(f"tensor {shown(tensor.name)} is in fp8 and no matrix")
    wanted = tuple(-(-size // length) for size, length in zip(tensor.shape, block, strict=True))
    if scale.shape != wanted or scale.dtype not in _SCALE_TYPES:
        raise ConvertError(
            f"tensor {shown(scale.name)} is {scale.dtype} of shape {list(scale.shape)}, but the "
            f"scales of {shown(tensor.name)} are float32 or bfloat16 of shape {list(wanted)}"
        )
