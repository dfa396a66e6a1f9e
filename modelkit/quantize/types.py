"""The quantization types that llama.cpp can write: their names, numbers and what they need."""

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from modelkit.errors import UsageError

QUANTIZATIONS: Mapping[str, int] = MappingProxyType(
    {
        "F32": 0,
        "F16": 1,
        "BF16": 32,
        "Q8_0": 7,
        "Q6_K": 18,
        "Q5_0": 8,
        "Q5_1": 9,
        "Q5_K_S": 16,
        "Q5_K_M": 17,
        "Q4_0": 2,
        "Q4_1": 3,
        "Q4_K_S": 14,
        "Q4_K_M": 15,
        "Q3_K_S": 11,
        "Q3_K_M": 12,
        "Q3_K_L": 13,
        "Q2_K": 10,
        "Q2_K_S": 21,
        "Q2_0": 41,
        "Q1_0": 40,
        "IQ4_NL": 25,
        "IQ4_XS": 30,
        "IQ3_M": 27,
        "IQ3_S": 26,
        "IQ3_XS": 22,
        "IQ3_XXS": 23,
        "IQ2_M": 29,
        "IQ2_S": 28,
        "IQ2_XS": 20,
        "IQ2_XXS": 19,
        "IQ1_M": 31,
        "IQ1_S": 24,
        "TQ2_0": 37,
        "TQ1_0": 36,
        "MXFP4_MOE": 38,
    }
)
"""Type name to llama.cpp's file type number (`llama_ftype`), best precision of a family first."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}
)
"""Family names that stand for the family's usual member."""

NEEDS_IMATRIX = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS"})
"""Types so coarse that llama.cpp wants an importance matrix for any model."""

UNQUANTIZED = frozenset({"F32", "F16", "BF16"})
"""Full-precision types: the only ones that may be quantized further."""

# NVFP4 can be read but not written.
_FILE_TYPES = {number: name for name, number in QUANTIZATIONS.items()} | {39: "NVFP4"}


def parse_quantization(text: str) -> str:
    """Return the canonical name of a type, in any case; raises UsageError naming the nearest."""
    name = text.strip().upper()
    name = ALIASES.get(name, name)
    if name in QUANTIZATIONS:
        return name
    near = difflib.get_close_matches(name, [*QUANTIZATIONS, *ALIASES], n=1)
    raise UsageError(
        f"unsupported quantization type {name or repr(text)}"
        f" - supported types are {', '.join(QUANTIZATIONS)}",
        hint=f"did you mean {near[0]}?" if near else None,
    )


def file_type_name(number: object) -> str:
    """Name a GGUF's `general.file_type`; `unknown` when it is missing or no known number."""
    return _FILE_TYPES.get(number, "unknown") if isinstance(number, int) else "unknown"
