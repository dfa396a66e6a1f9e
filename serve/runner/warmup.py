"""A first decode before a model counts as loaded: an engine that crashes does so here."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from modelkit.errors import EngineError
from modelkit.serve.runner.llama.batch import Batch
from modelkit.serve.runner.llama.context import Context

if TYPE_CHECKING:
    from modelkit.serve.runner.llama.model import Model

_TOKENS = 8  # more than one, so that the matrix-matrix products of prompts are tried, too


def warm_up(model: Model, threads: int) -> None:
    """Decode a few tokens in a small context of their own, which is gone afterwards."""
    taken = model.log.buffer_bytes
    # An error, unlike a crash, is told by the first request that meets it.
    with suppress(EngineError):
        context = Context(
            model,
            n_ctx=_TOKENS,
            n_batch=_TOKENS,
            n_seq_max=1,
            n_threads=threads,
            pooling=None if model.generates else model.pooling or "mean",
            max_outputs=_TOKENS,
        )
        try:
            batch = Batch(_TOKENS)
            tokens = [token % model.n_vocab for token in range(_TOKENS)]
            batch.extend(tokens, 0, 0, output_all=True)
            context.decode(batch)
        finally:
            context.free()
    model.log.errors.clear()
    model.log.buffer_bytes = taken
