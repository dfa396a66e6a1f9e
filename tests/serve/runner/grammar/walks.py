"""Answers without a model: at every step any token that the grammar allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from modelkit.serve.runner.grammar.constraint import Constraint
    from modelkit.serve.runner.llama.model import Model


def allowed(constraint: Constraint, n_vocab: int) -> list[int]:
    """The tokens that may come next."""
    logits = np.zeros(n_vocab, np.float32)
    constraint.mask(logits)
    return [int(token) for token in np.flatnonzero(logits == 0.0)]


def walk(
    constraint: Constraint, model: Model, random: np.random.Generator, most: int = 150
) -> bytes | None:
    """One random answer, drawn towards its end; None when it is not at an end after `most` tokens.

    Half the time a token that closes something is preferred.
    """
    written: list[int] = []
    while not constraint.complete:
        tokens = allowed(constraint, model.n_vocab)
        if random.random() < 0.5:
            closing = [t for t in tokens if model.ends(t) or model.piece(t)[:1] in b'"]},']
            tokens = closing or tokens
        token = tokens[random.integers(len(tokens))]
        forced = constraint.accept(token)
        if model.ends(token):
            break
        written += [token, *forced]
        if len(written) > most:
            return None
    return b"".join(model.piece(token) for token in written)


def accepts(constraint: Constraint, model: Model, text: str) -> bool:
    """Is the text a complete answer?"""
    tokens = [*model.tokenize(text, add_special=False, parse_special=False), model.eos]
    return constraint.allows(tokens) == len(tokens)
