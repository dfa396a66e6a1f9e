"""One running request: where it is in its prompt, what it has said, when it is done."""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING, Literal

from modelkit.errors import UsageError
from modelkit.serve.runner.sampling import build_chain, logprobs
from modelkit.serve.runner.text import TextStream
from modelkit.serve.runner.window import Window
from modelkit.serve.types import Finished, Piece

if TYPE_CHECKING:
    from modelkit.serve.runner.llama.context import Context
    from modelkit.serve.runner.llama.model import Model
    from modelkit.serve.types import Generation, TokenLogprob

# A request without a limit still ends: this many times its context.
_PREDICT_CONTEXTS = 10


class Sequence:
    """A prompt being read, then a text being written, in one slot of the cache.

    The decode loop moves `position` (tokens in the cache) and hands every sampled token to accept.
    """

    def __init__(
        self, id_: int, request: Generation, model: Model, *, n_ctx: int, shifts: bool
    ) -> None:
        """Raises PromptTooLong, or UsageError for a prompt that cannot be read at all."""
        if request.grammar is not None:
            raise UsageError("this runner cannot constrain its output to a schema or grammar")
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
        self.prompt = self.window.fit(prompt, truncate=request.truncate)
        self.slot = -1
        self.read = 0
        self.position = 0
        self.next_token = -1
        self._model = model
        self._text = TextStream(sampling.stop)
        self._chain = build_chain(sampling, n_vocab=model.n_vocab, n_ctx=n_ctx, prompt=self.prompt)
        self._limit = _limit(sampling.num_predict, n_ctx)
        self._top = request.logprobs
        self._logprobs: list[tuple[int, TokenLogprob]] = []
        self._written: list[int] = []
        self._sampled = 0
        self._started = self._first = 0

    @property
    def unread(self) -> int:
        """Prompt tokens that are not in the cache yet."""
        return len(self.prompt) - self.read

    def start(self, slot: int) -> None:
        """The sequence got a slot of the cache; its clock starts."""
        self.slot = slot
        self._started = monotonic_ns()

    def accept(self, context: Context, index: int) -> list[Piece | Finished]:
        """Sample from the logits of a batch index; the events that follow, the last one last."""
        if not self._first:
            self._first = monotonic_ns()
        if self._limit == 0:
            return [self._finish("length")]
        token = context.sample(self._chain, index)
        self._sampled += 1
        if self._model.ends(token):
            return [*self._flush(), self._finish("stop")]
        self._written.append(token)
        self.next_token = token
        start = self._text.length
        text = self._text.feed(self._model.piece(token))
        if self._top >= 0:
            entry = logprobs(context.logits(index), token, self._top, self._model.piece)
            self._logprobs.append((start, entry))
        events: list[Piece | Finished] = [self._piece(text)] if text else []
        if self._text.stopped:
            return [*events, self._finish("stop")]
        if self._sampled >= self._limit or self._is_full():
            return [*events, *self._flush(), self._finish("length")]
        return events

    def shift(self, context: Context) -> None:
        """Make room when the context is full: drop the older half of what need not be kept."""
        if self.position < self.window.n_ctx:
            return
        discard = self.window.discard(self.position)
        context.shift(self.slot, self.window.keep, discard, self.position)
        self.position -= discard

    def free(self) -> None:
        """Give back what llama.cpp allocated for the sequence."""
        self._chain.free()

    def _is_full(self) -> bool:
        return self.position >= self.window.n_ctx and not self.window.shifts

    def _piece(self, text: str) -> Piece:
        if not self._logprobs:
            return Piece(text)
        end = self._text.emitted
        sent = [entry for start, entry in self._logprobs if start < end]
        self._logprobs = [pair for pair in self._logprobs if pair[0] >= end]
        return Piece(text, sent)

    def _flush(self) -> list[Piece]:
        text = self._text.flush()
        left = [entry for _, entry in self._logprobs]
        return [Piece(text, left)] if text or left else []

    def _finish(self, reason: Literal["stop", "length"]) -> Finished:
        return Finished(
            reason=reason,
            prompt_tokens=len(self.prompt),
            prompt_ns=self._first - self._started,
            tokens=self._sampled,
            ns=monotonic_ns() - self._first,
            context=self.prompt + self._written,
        )


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
