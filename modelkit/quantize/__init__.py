"""Quantization through llama.cpp: `quantize` a GGUF file, `QUANTIZATIONS` lists the types."""

from modelkit.quantize.run import quantize, refuse_imatrix_types
from modelkit.quantize.types import (
    NEEDS_IMATRIX,
    QUANTIZATIONS,
    UNQUANTIZED,
    file_type_name,
    parse_quantization,
)

__all__ = [
    "NEEDS_IMATRIX",
    "QUANTIZATIONS",
    "UNQUANTIZED",
    "file_type_name",
    "parse_quantization",
    "quantize",
    "refuse_imatrix_types",
]
