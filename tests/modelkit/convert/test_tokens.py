"""Texts cut into tokens by llama.cpp with a converted model and by Hugging Face's tokenizers."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from fixtures.oracle.models import SENTENCES, files, folder
from modelkit.convert import convert
from tests.modelkit.convert import engine

# llama.cpp's WordPiece keeps what BERT's normalizer decomposes, and has no limit on a word's length
DECOMPOSED = ("한국어", "नमस्ते दुनिया")
LONG_WORDS = ("x" * 300, "ab" * 200 + " " * 50 + "\n" * 20)
NASTY = (
    *SENTENCES,
    "",
    " ",
    "\n",
    "\t\t\n\n  \n",
    "a",
    " a",
    "  a  b   c    d",
    "trailing space ",
    "trailing spaces   ",
    "line\r\nline\rline\n\n\n",
    "I'm you're WE'VE It'S they'LL I'd o'clock 'tis",
    "1 12 123 1234 12345 3.14 1,000,000 ½ ² ٣",
    "!?!?... --- === ``` '''",
    "camelCaseAndPascalCase snake_case SCREAMING",
    "émoji: 🚀🦙👩‍👩‍👧‍👦🇪🇺 ✅",
    "中文字符\uff0c标点。日本語テキスト",
    "שלום עולם مرحبا بالعالم",
    "กำลังทดสอบ",
    "zero\u200bwidth \u00a0nbsp \ufeffbom \u2028line",
    "\x00\x01\x7f control",
    "İstanbul ẞ ǅ ﬁ",
    *DECOMPOSED,
    *LONG_WORDS,
    "<s>not a token</s> <|begin_of_text|>hello<|eot_id|>\n\n",
    "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>",
    "<0x41><unk> <|not_special|>",
    'def f(x):\n    """Doc."""\n\treturn x ** 2  # comment\n',
    '{"key": [1, 2.5, null, true], "s": "\\u00e9\\n"}',
    "\U0001d54f\U0001d49c \U0010ffff",
)


def _reference(model: str, texts: tuple[str, ...]) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(folder(model) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [tokenizer.encode(text).ids for text in texts]


@pytest.mark.parametrize(
    ("model", "unlike"),
    [
        ("tiny_llama", set[str]()),
        ("tiny_llama_tied", set[str]()),
        ("tiny_llama_spm", set[str]()),
        ("all-minilm", {*DECOMPOSED, *LONG_WORDS}),
    ],
)
def test_texts_are_cut_as_the_reference_does(
    model: str, unlike: set[str], converted: Callable[[str, str], Path]
) -> None:
    found = engine.tokens(converted(model, "f16"), list(NASTY))
    expected = _reference(model, NASTY)
    assert {t for t, a, b in zip(NASTY, found, expected, strict=True) if a != b} == unlike


def test_a_sentencepiece_tokenizer_json_alone_cuts_the_same(
    tmp_path: Path, converted: Callable[[str, str], Path]
) -> None:
    without_model = files("tiny_llama_spm")
    del without_model["tokenizer.model"]
    path = tmp_path / "model.gguf"
    with path.open("wb") as out:
        convert(without_model, out, "f16")
    texts = list(NASTY)
    assert engine.tokens(path, texts) == engine.tokens(converted("tiny_llama_spm", "f16"), texts)
