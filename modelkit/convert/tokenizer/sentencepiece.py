"""Vocabularies of tokenizer.model, SentencePiece's own format."""

import struct
from typing import NamedTuple

from gguf import TokenType

from modelkit.convert.checkpoint import Checkpoint
from modelkit.convert.tokenizer.protobuf import fields
from modelkit.convert.tokenizer.vocabulary import (
    Vocabulary,
    configured_tokens,
    listed_tokens,
)
from modelkit.errors import ConvertError
from modelkit.gguf.types import Value

MODEL = "tokenizer.model"
_BPE = 2
_UNIGRAM = 1
_PADDING_SCORE, _ADDED_SCORE = -10000.0, -1000.0


class Piece(NamedTuple):
    """One entry of the vocabulary; kinds are numbered as in GGUF."""

    text: str = ""
    score: float = 0.0
    kind: TokenType = TokenType.NORMAL


def load_sentencepiece(checkpoint: Checkpoint, size: int) -> tuple[Vocabulary, dict[str, Value]]:
    """The vocabulary of tokenizer.model with the added tokens, and what its normalizer demands."""
    pieces: list[Piece] = []
    algorithm, prefix = _UNIGRAM, True
    for number, value in fields(memoryview(checkpoint.read(MODEL))):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            pieces.append(_piece(value))
        elif number == 2:
            algorithm = _integer(value, 3, _UNIGRAM)
        elif number == 3:
            prefix = bool(_integer(value, 3, 1))
    if algorithm != _BPE:
        raise ConvertError(
            f"{MODEL}: only byte-pair SentencePiece models are supported, not unigram"
        )
    if len(pieces) > size:
        raise ConvertError(f"{MODEL} has {len(pieces)} tokens, but the model has {size}")
    # The engine puts a space before the text unless it is told otherwise
    demands = {} if prefix else {"tokenizer.ggml.add_space_prefix": Value.boolean(False)}
    return _vocabulary(pieces, checkpoint, size), demands


def _vocabulary(pieces: list[Piece], checkpoint: Checkpoint, size: int) -> Vocabulary:
    """The pieces, then added tokens over them and behind them, then padding."""
    entries = dict(enumerate(pieces))
    for token in listed_tokens(checkpoint):
        entries.setdefault(token.id, Piece(token.text, _ADDED_SCORE, token.kind))
    for text, place in checkpoint.optional_json("added_tokens.json").items():
        if type(place) is int:
            entries[place] = Piece(text, _ADDED_SCORE, TokenType.USER_DEFINED)
    for token in configured_tokens(checkpoint):
        entries[token.id] = Piece(token.text, _ADDED_SCORE, token.kind)
    rows = [
        entries.get(number) or Piece(f"[PAD{number}]", _PADDING_SCORE, TokenType.UNUSED)
        for number in range(size)
    ]
    return Vocabulary(
        "llama",
        "default",
        [row.text for row in rows],
        [row.kind for row in rows],
        scores=[row.score for row in rows],
    )


def _piece(message: memoryview) -> Piece:
    text, score, kind = "", 0.0, TokenType.NORMAL
    for number, value in fields(message):
        if number == 1 and isinstance(value, memoryview):
            text = str(value, "utf-8", "replace")
        elif number == 2 and isinstance(value, memoryview) and len(value) == 4:
            (score,) = struct.unpack("<f", value)
        elif number == 3 and value in set(TokenType):
            kind = TokenType(value)
    return Piece(text, score, kind)


def _integer(message: memoryview, wanted: int, default: int) -> int:
    """The last integer of this number in a message, as protobuf has it."""
    for number, value in fields(message):
        if number == wanted and isinstance(value, int):
            default = value
    return default
