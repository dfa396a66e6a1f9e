"""A model's vocabulary as llguidance needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkit.errors import EngineError

if TYPE_CHECKING:
    from llguidance import LLTokenizer

    from modelkit.serve.runner.llama.model import Model

# llguidance's mark of a token that is no text: only a grammar that names it may use it.
_SPECIAL = b"\xff"


def build_tokenizer(model: Model) -> LLTokenizer:
    """llguidance's tables over the vocabulary: half a second for 150,000 tokens, so build it once.

    Every token that ends a generation may end a complete answer. Forced text is spelt by
    llama.cpp's own tokenizer, as the model saw it in training. The model must outlive the result.
    Raises EngineError for a vocabulary that has no end token or cannot spell text.
    """
    from llguidance import LLTokenizer

    ends = [token for token in range(model.n_vocab) if model.ends(token)]
    if not ends:
        raise EngineError("the model's vocabulary has no end token, so no answer can be complete")
    pieces = model.pieces()
    tokens = [_SPECIAL + piece if model.is_special(t) else piece for t, piece in enumerate(pieces)]
    try:
        # The binding's stub leaves this constructor out.
        tokenizer: LLTokenizer = LLTokenizer.from_llamacpp(  # type: ignore[attr-defined]
            tokens=tokens,
            vocab_ptr=model.vocabulary_address,
            tokenize_fptr=model.tokenize_address,
            eos_token=ends,
        )
    except ValueError as error:
        reason = f"the model's vocabulary cannot be used with grammars: {error}"
        raise EngineError(reason) from error
    return tokenizer


def special_tokens(model: Model) -> dict[str, int]:
    """The tokens that are no text, by what they are called."""
    pieces = enumerate(model.pieces())
    special = ((piece, token) for token, piece in pieces if piece and model.is_special(token))
    return {piece.decode("utf-8", "replace"): token for piece, token in special}
