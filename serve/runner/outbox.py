"""Answers on their way to the server, which wakes up once for several that come fast."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from modelkit.serve.runner.frames import Answer
from modelkit.serve.types import Piece

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PATIENCE = 0.016
"""Seconds that a piece of text may wait for the next ones: as long as a screen shows a picture."""


class Outbox:
    """Holds pieces back while steps are so short that more will come within PATIENCE.

    To wake the server costs the processors several times what a piece does. The first piece of an
    answer, its end, and all that is no text, leave at once, and what is held leaves with them.
    """

    def __init__(
        self,
        send: Callable[[list[Answer]], None],
        *,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._send = send
        self._clock = clock
        self._held: list[Answer] = []
        self._urgent = False
        # The requests whose first piece has come.
        self._begun: set[int] = set()
        self._since = self._last = clock()

    def add(self, answers: Iterable[Answer]) -> None:
        """Take answers; `step_ended` or `flush` sends them."""
        for answer in answers:
            if not self._held:
                self._since = self._clock()
            self._held.append(answer)
            if not isinstance(answer.body, Piece):
                self._urgent = True
                self._begun.discard(answer.id)
            elif answer.id not in self._begun:
                self._urgent = True
                self._begun.add(answer.id)

    def forget(self, id_: int) -> None:
        """The request was cancelled: no end of its answer will come."""
        self._begun.discard(id_)

    def step_ended(self) -> None:
        """Send what cannot wait for another step as long as this one was."""
        now = self._clock()
        step, self._last = now - self._last, now
        if self._urgent or now - self._since + step > PATIENCE:
            self.flush()

    def flush(self) -> None:
        """Send what is held."""
        held, self._held, self._urgent = self._held, [], False
        if held:
            self._send(held)
