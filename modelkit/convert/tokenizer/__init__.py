"""The tokenizer of a checkpoint as tokenizer.* metadata."""

from modelkit.convert.checkpoint import Checkpoint
from modelkit.convert.config import Config
from modelkit.convert.shown import shown
from modelkit.convert.tokenizer.bpe import load_bpe
from modelkit.convert.tokenizer.sentencepiece import MODEL, load_sentencepiece
from modelkit.convert.tokenizer.special import special_metadata
from modelkit.convert.tokenizer.vocabulary import Vocabulary
from modelkit.convert.tokenizer.wordpiece import load_wordpiece, normalizer_metadata
from modelkit.errors import ConvertError
from modelkit.gguf.types import Value


def tokenizer_metadata(checkpoint: Checkpoint, config: Config) -> dict[str, Value]:
    """Everything about the tokenizer; `config` supplies vocab_size. Raises ConvertError."""
    vocabulary, extra = _load(checkpoint, config.integer("vocab_size"))
    special = special_metadata(checkpoint, config, vocabulary.tokens)
    # Without a word from the checkpoint nothing is added, while the engine would add a BOS
    if vocabulary.model == "gpt2":
        extra["tokenizer.ggml.add_bos_token"] = Value.boolean(False)
    return vocabulary.metadata() | extra | special


def _load(checkpoint: Checkpoint, size: int) -> tuple[Vocabulary, dict[str, Value]]:
    if checkpoint.has(MODEL):
        return load_sentencepiece(checkpoint, size)
    if not checkpoint.has("tokenizer.json"):
        raise ConvertError(
            "the tokenizer is missing: neither tokenizer.json nor tokenizer.model",
            hint="copy the tokenizer's files into the model's folder",
        )
    model = checkpoint.json("tokenizer.json").get("model")
    if isinstance(model, dict) and model.get("type") == "BPE":
        return load_bpe(checkpoint, model, size), {}
    if isinstance(model, dict) and model.get("type") == "WordPiece":
        return load_wordpiece(checkpoint, model, size), normalizer_metadata(checkpoint)
    kind = shown(model.get("type")) if isinstance(model, dict) else "unknown"
    raise ConvertError(
        f"tokenizer.json: tokenizers of type {kind} are not supported",
        hint="supported: BPE, WordPiece, and SentencePiece's tokenizer.model",
    )
