"""What to do about files that llama.cpp is not made for: advice for the reasons it gives."""

from __future__ import annotations

import re

_NEWER = "the engine may be too old for this model: update llama-cpp-python, or use another model"
_ADVICE = (
    (
        r"CLIP cannot be used as main model",
        "the file is a projector, which sees or hears for a language model: build the model from "
        "both, with a FROM for each",
    ),
    (r"unknown model architecture", _NEWER),
    (r"unknown (pre-)?tokenizer", f"{_NEWER}, or convert it again"),
    (
        r"key not found in model: tokenizer\.",
        "the file has no tokenizer: convert the model again from a folder that has one",
    ),
    (
        r"key not found in model",
        "the file is incomplete; an adapter is named with ADAPTER, next to the FROM of its model",
    ),
    (
        r"split file|-\d{5}-of-\d{5}\.gguf",
        "the file is one part of a split model: merge them first, with llama-gguf-split --merge "
        "FIRST-PART OUTPUT",
    ),
)


def advised(reason: str) -> str:
    """The reason, with what to do about it when that is known."""
    for pattern, advice in _ADVICE:
        if re.search(pattern, reason):
            return f"{reason}; {advice}"
    return reason
