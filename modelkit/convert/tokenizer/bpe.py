"""Byte-pair vocabularies of tokenizer.json: byte-level (GPT-2, Llama 3) and SentencePiece's."""

from gguf import TokenType

from modelkit.convert.checkpoint import Checkpoint
from modelkit.convert.shown import shown
from modelkit.convert.tokenizer.pretokenizer import pretokenizer_name
from modelkit.convert.tokenizer.vocabulary import (
    SPACE,
    Vocabulary,
    added_tokens,
    place,
)
from modelkit.errors import ConvertError


def load_bpe(checkpoint: Checkpoint, model: dict[str, object], size: int) -> Vocabulary:
    """The vocabulary of a tokenizer.json whose model is BPE; `size` is the model's vocabulary."""
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict):
        raise ConvertError("tokenizer.json: the vocabulary is missing")
    tokens, kinds = place(vocabulary, added_tokens(checkpoint), size)
    merges = [_merge(entry) for entry in _list(model.get("merges"))]
    tokenizer = checkpoint.json("tokenizer.json")
    if model.get("byte_fallback") is True and _marks_spaces(tokenizer):
        return _sentencepiece(tokens, kinds, merges, model)
    pre = pretokenizer_name(tokenizer)
    lines = [" ".join(part.replace(" ", "\u0120") for part in pair) for pair in merges]
    return Vocabulary("gpt2", pre, tokens, kinds, merges=lines)


def _sentencepiece(
    tokens: list[str],
    kinds: list[TokenType],
    merges: list[tuple[str, str]],
    model: dict[str, object],
) -> Vocabulary:
    """The engine merges by score: a token's score is the rank of the first merge that makes it."""
    ranks: dict[str, int] = {}
    for rank, (left, right) in enumerate(merges):
        ranks.setdefault(left + right, rank)
    for number, token in enumerate(tokens):
        if kinds[number] is not TokenType.NORMAL:
            continue
        if token == model.get("unk_token"):
            kinds[number] = TokenType.UNKNOWN
        elif _is_byte(token):
            kinds[number] = TokenType.BYTE
    scores = [-float(ranks.get(token, len(merges))) for token in tokens]
    return Vocabulary("llama", "default", tokens, kinds, scores=scores)


def _is_byte(token: str) -> bool:
    return len(token) == 6 and token.startswith("<0x") and token.endswith(">")


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ConvertError("tokenizer.json: the merges are missing")
    return value


def _merge(entry: object) -> tuple[str, str]:
    """Older files write a merge as "a b", newer ones as ["a", "b"]."""
    pair = entry.split(" ") if isinstance(entry, str) else entry
    if isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair):
        return pair[0], pair[1]
    raise ConvertError(f"tokenizer.json: {shown(entry)} is not a merge")


def _marks_spaces(tokenizer: dict[str, object]) -> bool:
    """Whether spaces are written as U+2581, by a normalizer or by Metaspace."""
    return SPACE in str(tokenizer.get("normalizer")) or "Metaspace" in str(
        tokenizer.get("pre_tokenizer")
    )
