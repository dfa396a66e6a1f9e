"""Rotary position settings, which config.json writes in an old and a new way."""

import math
from dataclasses import dataclass

import numpy as np

from modelkit.convert.config import Config
from modelkit.convert.shown import shown
from modelkit.errors import ConvertError
from modelkit.gguf.types import Value

MAX_THETA = 1e30
_YARN_EXTRAS = {
    "extrapolation_factor": "yarn_ext_factor",
    "attention_factor": "yarn_attn_factor",
    "beta_fast": "yarn_beta_fast",
    "beta_slow": "yarn_beta_slow",
}


@dataclass(frozen=True)
class Rope:
    """The base frequency and the scaling method with its parameters."""

    theta: float
    kind: str
    scaling: Config

    @staticmethod
    def read(config: Config) -> "Rope":
        """From `rope_parameters`, or from `rope_theta` and `rope_scaling`."""
        new = config.section("rope_parameters")
        scaling = new if new.get("rope_theta") is not None else config.section("rope_scaling")
        theta = (new if new.get("rope_theta") is not None else config).number("rope_theta")
        if not 1 <= theta <= MAX_THETA:
            raise ConvertError(f"config.json: rope_theta is {theta}, which makes no sense")
        kind = scaling.get("rope_type") or scaling.get("type") or "default"
        return Rope(theta, str(kind).lower(), scaling)

    def metadata(self, arch: str) -> dict[str, Value]:
        """The rope.* keys; ConvertError for a scaling method the engine would ignore."""
        base = {f"{arch}.rope.freq_base": Value.float32(self.theta)}
        # "dynamic" only acts beyond the trained context, which is all that the file declares;
        # "llama3" becomes a tensor
        if self.kind in ("default", "dynamic", "llama3"):
            return base
        if self.kind not in ("linear", "yarn"):
            raise ConvertError(f"config.json: unsupported rope scaling {shown(self.kind)}")
        base[f"{arch}.rope.scaling.type"] = Value.string(self.kind)
        base[f"{arch}.rope.scaling.factor"] = Value.float32(self.scaling.number("factor"))
        return base | (self._yarn(arch) if self.kind == "yarn" else {})

    def _yarn(self, arch: str) -> dict[str, Value]:
        original = self.scaling.integer("original_max_position_embeddings")
        keys = {f"{arch}.rope.scaling.original_context_length": Value.uint32(original)}
        for source, target in _YARN_EXTRAS.items():
            if self.scaling.get(source) is not None:
                number = self.scaling.number(source)
                keys[f"{arch}.rope.scaling.{target}"] = Value.float32(number)
        return keys

    def llama3_factors(self, head_dim: int) -> list[float]:
        """By what each pair of a head divides its frequency (Llama 3.1's method).

        High frequencies stay, low ones are divided by the factor, those between are blended.
        """
        scaling = self.scaling.with_defaults(
            {
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            }
        )
        factor, low, high = (
            scaling.number(key) for key in ("factor", "low_freq_factor", "high_freq_factor")
        )
        if not 0 < low < high or factor <= 0:
            raise ConvertError("config.json: the factors of the llama3 rope scaling make no sense")
        context = scaling.integer("original_max_position_embeddings")
        return _blend(self.theta, head_dim, context, factor, low, high)


def _blend(
    theta: float, width: int, context: int, factor: float, low: float, high: float
) -> list[float]:
    """The factors, in float32 step by step as PyTorch computes them, so that the bytes agree."""
    exponents = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
    periods = np.power(theta, exponents.astype(np.float64)).astype(np.float32)
    one = np.float32(1)
    with np.errstate(all="ignore"):  # what is out of range is not chosen below
        # PyTorch divides a number by a tensor as number * (1 / tensor), twice here
        wavelengths = one / (one / periods) * np.float32(2 * math.pi)
        turns = one / wavelengths * np.float32(context)
        smooth = (turns - np.float32(low)) / np.float32(high - low)
        blended = one / ((one - smooth) / np.float32(factor) + smooth)
    choices = [wavelengths < context / high, wavelengths > context / low]
    factors: list[float] = np.select(choices, [one, np.float32(factor)], blended).tolist()
    return factors
