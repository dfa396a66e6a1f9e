"""One sequence's grammar: where the answer is in it and which tokens may come next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkit.errors import EngineError
from modelkit.serve.runner.grammar.mask import Mask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor, Future

    import numpy as np
    import numpy.typing as npt
    from llguidance import LLMatcher


class Constraint:
    """Belongs to the decode thread; only the mask is computed on another one.

    An end token is allowed where the grammar may end and nowhere else. Every method raises
    EngineError when the grammar cannot go on: then the sequence must fail, never run free.
    """

    def __init__(self, matcher: LLMatcher, pool: Executor, n_vocab: int) -> None:
        self._matcher = matcher
        self._pool = pool
        self._mask = Mask(n_vocab)
        self._coming: Future[None] | None = None

    @property
    def complete(self) -> bool:
        """The answer is whole and nothing may follow it."""
        self._settle()
        return self._matcher.is_stopped() and not self._matcher.is_error()

    def prepare(self) -> None:
        """Begin to compute the next mask beside llama.cpp; llguidance lets go of the GIL."""
        if self._coming is None:
            self._coming = self._pool.submit(self._compute)

    def mask(self, logits: npt.NDArray[np.float32]) -> None:
        """Set the logits (n_vocab) of all tokens that may not come next to -inf, in place."""
        if self._coming is None:
            self._compute()
        self._settle()
        self._mask.apply(logits)

    def accept(self, token: int) -> list[int]:
        """Go on with a sampled token; returns the tokens that must follow, accepted already."""
        self._settle()
        self._consume([token])
        forced = [] if self._matcher.is_stopped() else self._matcher.compute_ff_tokens()
        self._consume(forced)
        return forced

    def allows(self, tokens: Sequence[int]) -> int:
        """How many of these tokens, from the first, the grammar permits; none is accepted."""
        self._settle()
        return self._matcher.validate_tokens(list(tokens))

    def free(self) -> None:
        """Stop working for a sequence that ended."""
        if self._coming is not None:
            self._coming.cancel()

    def _compute(self) -> None:
        bits = self._mask.bits
        self._matcher.unsafe_compute_mask_ptr(bits.ctypes.data, bits.nbytes)
        self._check()
        if not self._mask.unpack():
            raise EngineError("the grammar allows no token of the vocabulary here")

    def _settle(self) -> None:
        """The matcher may be used by one thread at a time: wait for the mask."""
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.result()

    def _consume(self, tokens: list[int]) -> None:
        self._matcher.consume_tokens(tokens)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            reason = " ".join(self._matcher.get_error().split())
            raise EngineError(f"the grammar cannot go on: {reason}")
