"""One answer of a model, whichever API asked for it: load, prompt, generate, sort the output."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from modelkit.serve.loading import Loading
from modelkit.serve.output import Output, OutputParser, PlainParser
from modelkit.serve.scheduler import Scheduler
from modelkit.serve.types import Finished, Generation, Piece, Runner, Sampling, TokenLogprob

MAX_REPEATS = 30
"""Equal pieces in a row after which an answer is taken for an endless loop and ended."""

Prompt = str | list[int]


@dataclass(frozen=True)
class Request:
    """What to generate; logprobs and truncate as in Generation.

    The prompt's text and the sampling are made once the model is loaded: the one needs its
    tokenizer, the other its context size in tokens. `context` is tokens of earlier turns.
    """

    loading: Loading
    text: Callable[[Runner], Awaitable[str]]
    sampling: Callable[[int], Sampling]
    context: list[int] = field(default_factory=list)
    logprobs: int = -1
    truncate: bool = True
    parser: OutputParser = field(default_factory=PlainParser)


@dataclass(frozen=True)
class Delta:
    """The next part of the answer."""

    output: Output
    logprobs: list[TokenLogprob]


@dataclass(frozen=True)
class Done:
    """The end of the answer; `load_ns` is how long the model took to be ready."""

    finished: Finished
    load_ns: int


async def complete(scheduler: Scheduler, request: Request) -> AsyncGenerator[Delta | Done, None]:
    """The answer as it comes, `Done` last. Closing the generator stops the model."""
    started = time.monotonic_ns()
    async with request.loading.lease(scheduler) as runner:
        load_ns = time.monotonic_ns() - started
        generation = Generation(
            prompt=await _prompt(runner, request),
            sampling=request.sampling(runner.info.n_ctx),
            logprobs=request.logprobs,
            truncate=request.truncate,
        )
        async with aclosing(_guarded(runner, generation)) as events:
            async for event in events:
                if isinstance(event, Piece):
                    output, logprobs = request.parser.feed(event.text), event.logprobs
                else:
                    output, logprobs = request.parser.finish(), []
                if output or logprobs:
                    yield Delta(output, logprobs)
                if isinstance(event, Finished):
                    yield Done(event, load_ns)


async def _prompt(runner: Runner, request: Request) -> Prompt:
    text = await request.text(runner)
    if not request.context:
        return text
    return [*request.context, *await runner.tokenize(text, add_special=False)]


async def _guarded(
    runner: Runner, generation: Generation
) -> AsyncGenerator[Piece | Finished, None]:
    """The runner's events, with a proper end when the model repeats itself for ever."""
    guard = _LoopGuard()
    async with aclosing(runner.generate(generation)) as events:
        async for event in events:
            yield event
            if isinstance(event, Piece) and guard.loops(event.text):
                break
        else:
            return
    yield await guard.finish(runner, generation.prompt)


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

    async def finish(self, runner: Runner, prompt: Prompt) -> Finished:
        """The end of an answer that was cut off here."""
        tokens = await runner.tokenize(prompt) if isinstance(prompt, str) else prompt
        answer = await runner.tokenize("".join(self._pieces), add_special=False)
        return Finished(
            reason="stop",
            prompt_tokens=len(tokens),
            prompt_ns=self._first - self._started,
            tokens=len(self._pieces),
            ns=time.monotonic_ns() - self._first,
            context=[*tokens, *answer],
        )
