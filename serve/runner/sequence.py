"""One running request: which of its tokens the cache holds, what it has said, when it is done."""

from __future__ import annotations

from collections import deque
from time import monotonic_ns
from typing import TYPE_CHECKING, Literal, TypeAlias

from modelkit.errors import UsageError
from modelkit.serve.runner.adapters import NO_ADAPTERS, AdapterSet
from modelkit.serve.runner.sampling import build_chain, logprobs
from modelkit.serve.runner.transcript import Transcript
from modelkit.serve.runner.window import Window
from modelkit.serve.types import Finished, Piece

if TYPE_CHECKING:
    from collections.abc import Sequence as Run

    import numpy as np
    import numpy.typing as npt

    from modelkit.serve.runner.grammar.constraint import Constraint
    from modelkit.serve.runner.llama.context import Context
    from modelkit.serve.runner.llama.model import Model
    from modelkit.serve.types import Generation

Event: TypeAlias = Piece | Finished

# A request without a limit still ends: this many times its context.
_PREDICT_CONTEXTS = 10


class Sequence:
    """A prompt being read, then a text being written, in one slot of the cache.

    `tokens` is all of it, less what a shift of the context dropped; the cache holds the first
    `position` of them. The decode loop reads the others, then calls `accept` for what comes next.
    """

    def __init__(
        self,
        id_: int,
        request: Generation,
        model: Model,
        *,
        n_ctx: int,
        shifts: bool,
        adapters: AdapterSet = NO_ADAPTERS,
        constraint: Constraint | None = None,
    ) -> None:
        """Raises PromptTooLong, or UsageError for a prompt that cannot be read at all."""
        sampling = request.sampling
        prompt = _prompt(request, model)
        self.id = id_
        self.window = Window.of(
            n_ctx=n_ctx,
            num_keep=sampling.num_keep,
            prompt=len(prompt),
            add_bos=model.add_bos,
            shifts=shifts,
        )
        self._prompt = self.window.fit(prompt, truncate=request.truncate)
        self._dropped = len(prompt) - len(self._prompt)
        self.tokens = list(self._prompt)
        self.adapters = adapters
        self.group = adapters.name
        """Sequences of one group may share what they read."""
        self.slot = -1
        self.position = 0
        self.writes = False
        # How many leading tokens no shift has moved.
        self._unmoved = len(prompt) + n_ctx
        self._cached = 0
        self._model = model
        self._constraint = constraint
        self._transcript = Transcript(sampling.stop)
        self._chain = build_chain(sampling, model, n_ctx=n_ctx, prompt=self._prompt)
        self._limit = _limit(sampling.num_predict, n_ctx)
        # Without shifts the context ends a text; the token that is said last needs no position.
        self._most_tokens = n_ctx if not shifts else len(prompt) + self._limit
        self._top = request.logprobs
        self._written: list[int] = []
        # What the grammar says must come next and is not in `tokens` yet.
        self._forced: deque[int] = deque()
        self._count = 0
        self._reason: Literal["stop", "length"] | None = None
        self._started = self._first = 0

    @property
    def exact(self) -> int:
        """How many tokens of the cache are as if read from the start: a shift only moves others."""
        return min(self.position, self._unmoved)

    @property
    def pending(self) -> int:
        """How many tokens are not in the cache yet; at least one until the sequence is done."""
        return len(self.tokens) - self.position

    @property
    def room(self) -> int:
        """How many positions of the context are free."""
        return self.window.n_ctx - self.position

    @property
    def most_guesses(self) -> int:
        """How many guessed tokens it has use for: less than it may still write."""
        if self._forced:
            return 0
        return max(min(self._limit - self._count - 1, self.window.n_ctx - len(self.tokens)), 0)

    def permitted(self, guesses: Run[int]) -> int:
        """How many of these the grammar allows to come next."""
        return self._constraint.allows(guesses) if self._constraint else len(guesses)

    def start(self, slot: int, cached: int) -> None:
        """The sequence got a slot that holds the start of its prompt; its clock starts."""
        self.slot = slot
        self._started = monotonic_ns()
        self.skip(cached)

    def skip(self, position: int) -> None:
        """The cache has got the tokens up to there without reading them again."""
        self._cached += position - self.position
        self.position = position

    def prepare(self) -> None:
        """It samples after the next decode: what the grammar allows there can be computed now."""
        if self._constraint and not self._forced:
            self._constraint.prepare()

    def accept(self, context: Context, indices: Run[int], guesses: Run[int] = ()) -> list[Event]:
        """Sample what comes next, as far as the guesses were right; the events that follow.

        All of `tokens` and the guesses after them have been decoded. `indices` are the batch
        indices of the last token and of each guess. Afterwards `position` counts the cached tokens
        that belong to the sequence. Raises EngineError when the grammar cannot go on.
        """
        if not self.writes:
            self.writes = True
            self._first = monotonic_ns()
            if self._limit == 0:
                self._reason = "length"
        decoded = self.position = len(self.tokens)
        while self._reason is None and len(self.tokens) == self.position:
            self._write(context, indices[self.position - decoded])
            if guesses:
                self.position = decoded + _agreement(self.tokens[decoded:], guesses)
        events: list[Event] = [*self._transcript.take()]
        if self._reason:
            events.append(self._finish(self._reason))
        return events

    def shift(self, context: Context) -> None:
        """The context is full: drop the older half of what need not be kept."""
        keep, discard = self.window.keep, self.window.discard(self.position)
        context.shift(self.slot, keep, discard, self.position)
        del self.tokens[keep : keep + discard]
        self.position -= discard
        self._unmoved = min(self._unmoved, keep)

    def free(self) -> None:
        """Give back what llama.cpp and the grammar hold for the sequence."""
        self._chain.free()
        if self._constraint:
            self._constraint.free()

    def _write(self, context: Context, index: int) -> None:
        """One token from the logits of a batch index, and those that the grammar has follow it.

        An entry of logprobs needs the logits of its place. So when they are wanted the forced
        tokens are decoded one by one like sampled ones; otherwise they are all read in one go.
        """
        logits = context.logits(index).copy() if self._top >= 0 else None
        self._say(self._choose(context, index), logits)
        if not self._constraint:
            return
        while self._forced and logits is None and self._reason is None:
            self._say(self._next_forced(), None)
        if self._reason is None and not self._forced and self._constraint.complete:
            self._end("stop")

    def _choose(self, context: Context, index: int) -> int:
        if self._forced:
            return self._next_forced()
        if not self._constraint:
            return context.sample(self._chain, index)
        self._constraint.mask(context.logits(index))
        token = context.sample(self._chain, index)
        self._forced.extend(self._constraint.accept(token))
        return token

    def _next_forced(self) -> int:
        token = self._forced.popleft()
        self._chain.accept(token)
        return token

    def _say(self, token: int, logits: npt.NDArray[np.float32] | None) -> None:
        self._count += 1
        if self._model.ends(token):
            self._end("stop")
            return
        self._written.append(token)
        self.tokens.append(token)
        piece = self._model.piece
        entry = None if logits is None else logprobs(logits, token, self._top, piece)
        self._transcript.say(piece(token), entry)
        if self._transcript.stop is not None:
            self._reason = "stop"
        elif self._count >= self._limit or len(self.tokens) > self._most_tokens:
            self._end("length")

    def _end(self, reason: Literal["stop", "length"]) -> None:
        self._transcript.end()
        self._reason = reason

    def _finish(self, reason: Literal["stop", "length"]) -> Finished:
        return Finished(
            reason=reason,
            prompt_tokens=len(self._prompt),
            prompt_ns=self._first - self._started,
            tokens=self._count,
            ns=monotonic_ns() - self._first,
            context=self._prompt + self._written,
            cached_tokens=self._cached,
            dropped_tokens=self._dropped,
            stop=self._transcript.stop,
        )


def _agreement(written: Run[int], guesses: Run[int]) -> int:
    """How many of the guesses were written indeed."""
    for place, (token, guess) in enumerate(zip(written, guesses, strict=False)):
        if token != guess:
            return place
    return min(len(written), len(guesses))


def _prompt(request: Generation, model: Model) -> list[int]:
    if isinstance(request.prompt, str):
        tokens = model.tokenize(
            request.prompt, add_special=request.add_special, parse_special=request.parse_special
        )
    else:
        tokens = request.prompt
        model.check(tokens)
    if not tokens:
        raise UsageError("the prompt is empty and the model adds no token to it")
    return tokens


def _limit(num_predict: int, n_ctx: int) -> int:
    most = _PREDICT_CONTEXTS * n_ctx
    return most if num_predict < 0 else min(num_predict, most)
