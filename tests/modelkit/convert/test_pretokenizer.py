"""Recognising the rule by which a tokenizer cuts text into words."""

import pytest

from fixtures.bpe import LLAMA3_PATTERN
from modelkit.convert.tokenizer.pretokenizer import pretokenizer_name
from modelkit.errors import ConvertError
from tests.modelkit.convert.samples import Json

QWEN2_PATTERN = LLAMA3_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35_PATTERN = QWEN2_PATTERN.replace(r"?\p{L}+", r"?[\p{L}\p{M}]+").replace(
    r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]"
)
DEEPSEEK_CODER_PATTERNS = ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+"]


def split(pattern: str) -> Json:
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }


def byte_level(*, use_regex: bool = False, add_prefix_space: bool = False) -> Json:
    return {
        "type": "ByteLevel",
        "add_prefix_space": add_prefix_space,
        "trim_offsets": True,
        "use_regex": use_regex,
    }


def sequence(*steps: Json) -> Json:
    return {"type": "Sequence", "pretokenizers": list(steps)}


DIGITS = {"type": "Digits", "individual_digits": True}


@pytest.mark.parametrize(
    ("pre_tokenizer", "ignore_merges", "name"),
    [
        (sequence(split(LLAMA3_PATTERN), byte_level()), True, "llama-bpe"),
        (sequence(split(LLAMA3_PATTERN), byte_level()), False, "smaug-bpe"),
        (sequence(split(QWEN2_PATTERN), byte_level()), False, "qwen2"),
        (sequence(split(QWEN35_PATTERN), byte_level()), False, "qwen35"),
        (
            sequence(*map(split, DEEPSEEK_CODER_PATTERNS), DIGITS, byte_level()),
            False,
            "deepseek-coder",
        ),
        (byte_level(use_regex=True), False, "gpt-2"),
        (sequence(DIGITS, byte_level(use_regex=True)), False, "smollm"),
    ],
)
def test_known_rules_have_llama_cpps_name(
    pre_tokenizer: Json, ignore_merges: bool, name: str
) -> None:
    model = {"type": "BPE", "ignore_merges": ignore_merges}
    assert pretokenizer_name({"pre_tokenizer": pre_tokenizer, "model": model}) == name


@pytest.mark.parametrize(
    "tokenizer",
    [
        {},
        {"pre_tokenizer": None},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"pre_tokenizer": byte_level(use_regex=False)},
        {"pre_tokenizer": byte_level(use_regex=True, add_prefix_space=True)},
        {"pre_tokenizer": byte_level(use_regex=True), "normalizer": {"type": "Lowercase"}},
        {"pre_tokenizer": sequence(split(r"\w+"), byte_level())},
        {"pre_tokenizer": sequence(split(QWEN2_PATTERN), byte_level(use_regex=True))},
        {"pre_tokenizer": sequence(split(QWEN2_PATTERN), DIGITS, byte_level())},
        {"pre_tokenizer": sequence(byte_level(), split(QWEN2_PATTERN))},
        {
            "pre_tokenizer": sequence(
                split(QWEN2_PATTERN) | {"behavior": "MergedWithNext"}, byte_level()
            )
        },
        {"pre_tokenizer": sequence(split(QWEN2_PATTERN) | {"invert": True}, byte_level())},
        {
            "pre_tokenizer": sequence(
                {"type": "Digits", "individual_digits": False}, byte_level(use_regex=True)
            )
        },
    ],
)
def test_an_unknown_rule_is_refused_and_never_guessed(tokenizer: Json) -> None:
    with pytest.raises(ConvertError, match="unknown rule for splitting") as caught:
        pretokenizer_name(tokenizer)
    assert caught.value.hint


def test_nfc_is_accepted_because_it_only_touches_uncomposed_text() -> None:
    tokenizer: Json = {
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": sequence(split(QWEN2_PATTERN), byte_level()),
    }
    assert pretokenizer_name(tokenizer) == "qwen2"
