"""The end of answers in which a model repeats itself for ever."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from modelkit.serve.runner.window import Window
from modelkit.serve.types import Finished, Generation, Piece, Runner

MAX_REPEATS = 30
"""Equal pieces in a row after which an answer is taken for an endless loop and ended."""


async def guarded(runner: Runner, generation: Generation) -> AsyncGenerator[Piece | Finished, None]:
    """The runner's events, with a proper end when the model repeats itself for ever."""
    guard = _LoopGuard()
    async with aclosing(runner.generate(generation)) as events:
        async for event in events:
            yield event
            if isinstance(event, Piece) and guard.loops(event.text):
                break
        else:
            return
    yield await guard.finish(runner, generation)


class _LoopGuard:
    """Counts equal pieces, and what the final numbers need if the answer is cut off."""

    def __init__(self) -> None:
        self._started = time.monotonic_ns()
        self._first = 0
        self._pieces: list[str] = []
        self._last = ""
        self._repeats = 0

    def loops(self, piece: str) -> bool:
        """Whether this piece is one repetition too many."""
        self._first = self._first or time.monotonic_ns()
        self._pieces.append(piece)
        word = piece.strip()
        self._repeats = self._repeats + 1 if word == self._last else 0
        self._last = word
        return self._repeats > MAX_REPEATS

    async def finish(self, runner: Runner, request: Generation) -> Finished:
        """The end of an answer that was cut off here."""
        prompt = request.prompt
        tokens = await runner.tokenize(prompt) if isinstance(prompt, str) else prompt
        read = _read(tokens, runner, request)
        answer = await runner.tokenize("".join(self._pieces), add_special=False)
        return Finished(
            # What a grammar began and did not end must not look whole.
            reason="length" if request.grammar else "stop",
            prompt_tokens=len(read),
            prompt_ns=self._first - self._started,
            tokens=len(self._pieces),
            ns=time.monotonic_ns() - self._first,
            context=[*read, *answer],
            dropped_tokens=len(tokens) - len(read),
        )


def _read(tokens: list[int], runner: Runner, request: Generation) -> list[int]:
    """What the runner read of the prompt; since it has answered, it was free to cut it."""
    window = Window.of(
        n_ctx=runner.info.n_ctx,
        num_keep=request.sampling.num_keep,
        prompt=len(tokens),
        add_bos=runner.info.add_bos,
        shifts=True,
    )
    return window.fit(tokens, truncate=True)
