"""Recognising a tokenizer's rule for cutting text into words, which the engine knows by name.

The whole of normalizer and pre_tokenizer is compared, not only the vocabulary: an unknown rule is
an error, because a near miss tokenizes some texts wrongly without a word.
"""

import hashlib
from typing import NamedTuple

from modelkit.errors import ConvertError


class Rule(NamedTuple):
    """Steps of a pre_tokenizer. `splits`: SHA-256 of its Split patterns, one after the other."""

    splits: str
    digits: bool = False  # every digit on its own, before the rest
    regex: bool = False  # ByteLevel splits by GPT-2's own pattern
    whole_words: bool = False  # a word that is a token is not built from merges


_NO_SPLIT = hashlib.sha256().hexdigest()
_LLAMA3 = "d98f9631be1e9607a9848c26c1f9eac1aa9fc21ac6ba82a2fc0741af9780a48f"
_QWEN2 = "1ff7f41064896984db5d1bb6ff64fa4bc29007d08c1b439e505b7392777a319e"
_QWEN35 = "00431aed57e696b747435f734d1e3b9b1bfd931a121fb5cac7129e97c181e9ba"
_DEEPSEEK_LLM = "03df5c5863ad70781dcfdef491ead25140f895fe8010964be0daefe27be32b02"
_DEEPSEEK_CODER = "21cde974d587f0d54dc8d56b183cc1e6239600172035c68fbd6d4b9f8da0576e"

# llama.cpp has several names for one rule; these are its first model's
_KNOWN = {
    Rule(_LLAMA3, whole_words=True): "llama-bpe",
    Rule(_LLAMA3): "smaug-bpe",
    Rule(_QWEN2): "qwen2",
    Rule(_QWEN35): "qwen35",
    Rule(_DEEPSEEK_LLM, digits=True): "deepseek-llm",
    Rule(_DEEPSEEK_CODER, digits=True): "deepseek-coder",
    Rule(_NO_SPLIT, regex=True): "gpt-2",
    Rule(_NO_SPLIT, digits=True, regex=True): "smollm",
}
# NFC only changes texts that are not composed; llama.cpp has no normalizer for any of these names
_NORMALIZERS = (None, "NFC")


def pretokenizer_name(tokenizer: dict[str, object]) -> str:
    """llama.cpp's name for the rule of a byte-level tokenizer.json; ConvertError if it has none."""
    model = tokenizer.get("model")
    whole_words = isinstance(model, dict) and model.get("ignore_merges") is True
    if all(kind in _NORMALIZERS for kind in _normalizers(tokenizer.get("normalizer"))):
        rule = _rule(_steps(tokenizer.get("pre_tokenizer"), "pretokenizers"), whole_words)
        if rule in _KNOWN:
            return _KNOWN[rule]
    raise ConvertError(
        "tokenizer.json: unknown rule for splitting text into words",
        hint="this model's tokenizer is not supported yet; use a GGUF file of the model instead",
    )


def _normalizers(normalizer: object) -> list[object]:
    return [step.get("type") for step in _steps(normalizer, "normalizers")]


def _steps(node: object, children: str) -> list[dict[str, object]]:
    """A pre_tokenizer or normalizer as a flat list, whether or not it is a Sequence."""
    if not isinstance(node, dict):
        return []
    inner = node.get(children)
    if node.get("type") != "Sequence" or not isinstance(inner, list):
        return [node]
    return [step for step in inner if isinstance(step, dict)]


def _rule(steps: list[dict[str, object]], whole_words: bool) -> Rule | None:
    """The steps as a Rule; None when one of them means something that a Rule cannot say."""
    patterns: list[str] = []
    digits = regex = False
    if not steps or steps[-1].get("type") != "ByteLevel":
        return None
    for step in steps[:-1]:
        pattern = _pattern(step)
        if pattern is not None:
            patterns.append(pattern)
        elif step.get("type") == "Digits" and step.get("individual_digits") is True:
            digits = True
        else:
            return None
    if steps[-1].get("add_prefix_space") is not False:
        return None
    regex = steps[-1].get("use_regex", True) is True
    return Rule(hashlib.sha256("".join(patterns).encode()).hexdigest(), digits, regex, whole_words)


def _pattern(step: dict[str, object]) -> str | None:
    """The regular expression of a Split that keeps both the matches and what lies between."""
    pattern = step.get("pattern")
    plain = step.get("behavior") in ("Isolated", "Removed") and step.get("type") == "Split"
    # Inverted, the matches are the words and what lies between is removed: the patterns we know
    # match every character, so nothing lies between
    kept = (step.get("behavior") == "Removed") == (step.get("invert") is True)
    if plain and kept and isinstance(pattern, dict) and isinstance(pattern.get("Regex"), str):
        return str(pattern["Regex"])
    return None
