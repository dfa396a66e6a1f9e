"""Sampling defaults of generation_config.json as general.sampling.* keys."""

import math

from modelkit.convert.checkpoint import Checkpoint
from modelkit.gguf.types import Value, ValueType

_NUMBERS = {
    "top_p": "top_p",
    "min_p": "min_p",
    "temp": "temperature",
    "penalty_repeat": "repetition_penalty",
}


def sampling_metadata(checkpoint: Checkpoint) -> dict[str, Value]:
    """The author's recommended sampling; values of the wrong type are left out."""
    config = checkpoint.optional_json("generation_config.json")
    metadata: dict[str, Value] = {}
    top_k = config.get("top_k")
    if type(top_k) is int and 0 <= top_k < 1 << 31:
        metadata["general.sampling.top_k"] = Value(ValueType.INT32, top_k)
    for key, source in _NUMBERS.items():
        value = config.get(source)
        if type(value) in (int, float) and math.isfinite(number := float(str(value))):
            metadata[f"general.sampling.{key}"] = Value.float32(number)
    return metadata
