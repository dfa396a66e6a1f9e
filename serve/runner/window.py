"""What happens at the end of the context: prompts are cut before, sequences shifted during a run.

The sizes are Ollama's (its API reference, options num_ctx and num_keep).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from modelkit.serve.types import PromptTooLong

if TYPE_CHECKING:
    from collections.abc import Sequence


class Window(NamedTuple):
    """The context of one sequence: n_ctx positions, the first `keep` of which are never dropped."""

    n_ctx: int
    keep: int
    shifts: bool

    @classmethod
    def of(cls, *, n_ctx: int, num_keep: int, prompt: int, add_bos: bool, shifts: bool) -> Window:
        """The window for a prompt of that many tokens; a negative num_keep keeps all of it."""
        keep = (prompt if num_keep < 0 else num_keep) + add_bos
        return cls(n_ctx, min(keep, n_ctx - 1), shifts)

    def fit(self, prompt: Sequence[int], *, truncate: bool) -> list[int]:
        """The prompt, or its kept head and its tail so that about half of the context is free.

        Raises PromptTooLong when it is too long and may not be cut.
        """
        if len(prompt) < self.n_ctx:
            return list(prompt)
        if not (truncate and self.shifts):
            raise PromptTooLong
        size = self.n_ctx - max((self.n_ctx - self.keep) // 2, 1)
        tail = size - self.keep
        return [*prompt[: self.keep], *(prompt[-tail:] if tail else [])]

    def discard(self, position: int) -> int:
        """How many positions after the kept ones to drop when `position` has reached n_ctx."""
        return max((position - self.keep) // 2, 1)
