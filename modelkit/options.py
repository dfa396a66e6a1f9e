"""The options of a model: names, types, defaults, and how PARAMETER text becomes a value."""

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from modelkit.errors import UsageError
from modelkit.grammar.errors import nearest

OptionType = Literal["int", "float", "bool", "string", "strings", "biases"]


@dataclass(frozen=True)
class Option:
    """One option. A change of a runner option reloads the model; a request option never does.

    The default None means: not set, the engine chooses. `low` and `high` bound a request's number;
    biases map token ids, as text, to numbers.
    """

    name: str
    type: OptionType
    default: object
    scope: Literal["runner", "request"]
    low: float = -math.inf
    high: float = math.inf


OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option("num_ctx", "int", 4096, "runner"),
        Option("num_batch", "int", 512, "runner"),
        Option("num_gpu", "int", -1, "runner"),
        Option("main_gpu", "int", None, "runner"),
        Option("use_mmap", "bool", None, "runner"),
        Option("num_thread", "int", 0, "runner"),
        Option("draft_num_predict", "int", None, "runner"),
        Option("num_keep", "int", 4, "request"),
        Option("seed", "int", -1, "request"),
        Option("num_predict", "int", -1, "request"),
        Option("top_k", "int", 40, "request"),
        Option("top_p", "float", 0.9, "request"),
        Option("min_p", "float", 0.0, "request"),
        Option("typical_p", "float", 1.0, "request"),
        Option("repeat_last_n", "int", 64, "request"),
        Option("temperature", "float", 0.8, "request"),
        Option("repeat_penalty", "float", 1.0, "request", low=1e-6),
        Option("presence_penalty", "float", 0.0, "request"),
        Option("frequency_penalty", "float", 0.0, "request"),
        Option("stop", "strings", None, "request"),
    )
}

EXTRA_OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option("logit_bias", "biases", None, "request"),
        Option("mirostat", "int", 0, "request", low=0, high=2),
        Option("mirostat_tau", "float", 5.0, "request", low=0.0),
        Option("mirostat_eta", "float", 0.1, "request", low=0.0, high=1.0),
        Option("dry_multiplier", "float", 0.0, "request", low=0.0),
        Option("dry_base", "float", 1.75, "request", low=0.0),
        Option("dry_allowed_length", "int", 2, "request", low=0),
        Option("dry_penalty_last_n", "int", -1, "request", low=-1),
        Option("dry_sequence_breakers", "strings", None, "request"),
        Option("xtc_probability", "float", 0.0, "request", low=0.0, high=1.0),
        Option("xtc_threshold", "float", 0.1, "request", low=0.0, high=1.0),
        Option("top_n_sigma", "float", -1.0, "request"),
    )
}
"""llama.cpp's samplers that Ollama does not offer: options of requests, not of Modelfiles."""

# Accepted in a Modelfile for the sake of old ones, and dropped with a warning.
DEPRECATED = frozenset(
    {
        "penalize_newline",
        "low_vram",
        "f16_kv",
        "logits_all",
        "vocab_only",
        "use_mlock",
        "mirostat",
        "mirostat_tau",
        "mirostat_eta",
    }
)

_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_INT64 = range(-(2**63), 2**63)
# Numbers from here on round to infinity in 32 bits.
_FLOAT32_END = 2.0**128 - 2.0**103


def parse_parameter(name: str, text: str) -> object:
    """The value of `PARAMETER name text`; `stop` gives a list of one string.

    Raises UsageError with the reference's text for an unknown name or a value of the wrong type.
    """
    option = OPTIONS.get(name)
    if option is None:
        match = nearest(name.lower(), OPTIONS)
        hint = f"did you mean {match}?" if match else f"the parameters are {', '.join(OPTIONS)}"
        raise UsageError(f"unknown parameter '{name}'", hint=hint)
    match option.type:
        case "int":
            return _parse_int(text)
        case "float":
            return _parse_float(text)
        case "bool":
            return _parse_bool(text)
        case "strings":
            return [text]
        case _:
            return text


def _parse_int(text: str) -> int:
    # 20 characters hold every 64-bit number; longer text would only cost time.
    if not _INT.fullmatch(text) or len(text) > 20 or int(text) not in _INT64:
        raise UsageError(
            f"invalid int value [{text}]", hint="write a whole number without a fraction, e.g. 40"
        )
    return int(text)


def _parse_float(text: str) -> float:
    """The nearest 32-bit number, as the shortest decimal that names it: what is stored as JSON."""
    value = float(text) if _FLOAT.fullmatch(text) else math.nan
    if not abs(value) < _FLOAT32_END:
        raise UsageError(f"invalid float value [{text}]", hint="write a number, e.g. 0.7")
    single = struct.pack("<f", value)
    exact = struct.unpack("<f", single)[0]
    decimals = (float(f"{exact:.{digits}g}") for digits in range(1, 10))
    return next(decimal for decimal in decimals if _rounds_to(decimal, single))


def _rounds_to(value: float, single: bytes) -> bool:
    return abs(value) < _FLOAT32_END and struct.pack("<f", value) == single


def _parse_bool(text: str) -> bool:
    if text not in _TRUE | _FALSE:
        raise UsageError(f"invalid bool value [{text}]", hint="write true or false")
    return text in _TRUE
