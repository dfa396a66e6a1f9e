"""WordPiece vocabularies (BERT) of tokenizer.json."""

from gguf import TokenType

from modelkit.convert.checkpoint import Checkpoint
from modelkit.convert.tokenizer.vocabulary import (
    SPACE,
    Vocabulary,
    added_tokens,
    place,
)
from modelkit.errors import ConvertError
from modelkit.gguf.types import Value

# llama.cpp has one rule for WordPiece; this is the name its converter gives it
_PRE = "jina-v2-en"
_CONTINUATION = "##"


def load_wordpiece(checkpoint: Checkpoint, model: dict[str, object], size: int) -> Vocabulary:
    """Tokens as the engine wants them: a mark at word starts instead of one at continuations."""
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict):
        raise ConvertError("tokenizer.json: the vocabulary is missing")
    tokenizer = checkpoint.json("tokenizer.json")
    kinds_of_step = [_kind(tokenizer.get(key)) for key in ("normalizer", "pre_tokenizer")]
    if kinds_of_step != ["BertNormalizer", "BertPreTokenizer"]:
        raise ConvertError("tokenizer.json: this WordPiece tokenizer does not split text as BERT")
    if model.get("continuing_subword_prefix", _CONTINUATION) != _CONTINUATION:
        raise ConvertError(f"tokenizer.json: continuations are not marked by {_CONTINUATION}")
    tokens, kinds = place(vocabulary, added_tokens(checkpoint), size)
    return Vocabulary("bert", _PRE, list(map(_marked, tokens, kinds)), kinds)


def normalizer_metadata(checkpoint: Checkpoint) -> dict[str, Value]:
    """Whether text is lower-cased and loses its accents."""
    normalizer = checkpoint.json("tokenizer.json").get("normalizer")
    metadata: dict[str, Value] = {}
    for key in ("lowercase", "strip_accents"):
        value = normalizer.get(key) if isinstance(normalizer, dict) else None
        if isinstance(value, bool):
            metadata[f"tokenizer.ggml.normalizer.{key}"] = Value.boolean(value)
    return metadata


def _kind(step: object) -> object:
    return step.get("type") if isinstance(step, dict) else None


def _marked(token: str, kind: TokenType) -> str:
    if kind is TokenType.CONTROL:
        return token
    if token.startswith(_CONTINUATION):
        return token.removeprefix(_CONTINUATION)
    return SPACE + token
