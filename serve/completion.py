"""One answer of a model, whichever API asked for it: load, prompt, generate, sort the output."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from modelkit.serve.loading import Loading
from modelkit.serve.metrics import AnswerNumbers
from modelkit.serve.output import AnswerFormat, Output, OutputParser
from modelkit.serve.prompt import Prompt
from modelkit.serve.repeats import guarded
from modelkit.serve.scheduling.scheduler import Scheduler
from modelkit.serve.types import (
    Finished,
    Generation,
    Grammar,
    Piece,
    Runner,
    Sampling,
    TokenLogprob,
)


@dataclass(frozen=True)
class Request:
    """What to generate; logprobs, truncate and grammar as in Generation.

    The prompt's text and the sampling are made once the model is loaded: the one needs its
    tokenizer, the other its context size in tokens. `context` is tokens of earlier turns. The
    grammar holds for the content: a model that thinks does so freely before it.
    """

    loading: Loading
    text: Callable[[Runner], Awaitable[Prompt]]
    sampling: Callable[[int], Sampling]
    context: list[int] = field(default_factory=list)
    logprobs: int = -1
    truncate: bool = True
    grammar: Grammar | None = None
    format: AnswerFormat = field(default_factory=AnswerFormat)


class Delta(msgspec.Struct, frozen=True):
    """The next part of the answer."""

    output: Output
    logprobs: list[TokenLogprob]

    def __bool__(self) -> bool:
        return bool(self.output or self.logprobs)


class Done(msgspec.Struct, frozen=True):
    """The end of the answer; `load_ns` is how long the model took to be ready.

    A model that thinks before an answer with a grammar runs twice: `finished` is the end of its
    last run, whose prompt has the thoughts; in `whole` they are part of the answer.
    """

    finished: Finished
    whole: Finished
    load_ns: int


async def complete(scheduler: Scheduler, request: Request) -> AsyncGenerator[Delta | Done, None]:
    """The answer as it comes, `Done` last. Closing the generator stops the model.

    Raises UsageError before anything else when the grammar cannot be enforced.
    """
    started = time.monotonic_ns()
    numbers = AnswerNumbers(request.loading.model.name.short)
    async with request.loading.lease(scheduler) as runner:
        load_ns = time.monotonic_ns() - started
        async with aclosing(_answer(runner, request, load_ns)) as parts:
            async for part in parts:
                if not numbers.begun:
                    numbers.begin()
                if isinstance(part, Done):
                    numbers.finish(part.whole)
                yield part


async def _answer(
    runner: Runner, request: Request, load_ns: int
) -> AsyncGenerator[Delta | Done, None]:
    """One run of the model; two when it thinks before an answer that has a grammar."""
    (text, dropped), form = await request.text(runner), request.format
    before = _Before(dropped, load_ns)
    if request.grammar and (thinking := form.thoughts(text)):
        before.read(await _require_enforceable(runner, request, text))
        thoughts = _Thoughts(thinking)
        free = await _generation(runner, request, text)
        async with aclosing(thoughts.parts(runner, free)) as parts:
            async for part in parts:
                if isinstance(part, Finished):
                    yield before.done(part)
                    return
                yield part
        before.thought = len(await runner.tokenize(thoughts.text, add_special=False))
        text, form = text + thoughts.text, form.without_thoughts()
    parser = form.parser(text)
    generation = await _generation(runner, request, text, request.grammar)
    generation.sampling.num_predict = max(generation.sampling.num_predict - before.thought, 0)
    async with aclosing(guarded(runner, generation)) as events:
        async for event in events:
            if delta := _sorted(parser, event):
                yield delta
            if isinstance(event, Finished):
                yield before.done(event)


@dataclass
class _Before:
    """What came before the last run: `dropped` tokens lost before the runner got the prompt."""

    dropped: int
    load_ns: int
    thought: int = 0
    _prompt: Finished | None = None
    _since: int = 0

    def read(self, prompt: Finished) -> None:
        """The prompt has been read, with these numbers; the clock of the answer starts."""
        self._prompt, self._since = prompt, time.monotonic_ns()

    def done(self, last: Finished) -> Done:
        """The end of the answer, from that of its last run."""
        last = replace(last, dropped_tokens=last.dropped_tokens + self.dropped)
        if self._prompt is None:
            return Done(last, last, self.load_ns)
        whole = replace(
            last,
            prompt_tokens=self._prompt.prompt_tokens,
            cached_tokens=self._prompt.cached_tokens,
            prompt_ns=self._prompt.prompt_ns,
            tokens=last.tokens + self.thought,
            ns=time.monotonic_ns() - self._since,
        )
        return Done(last, whole, self.load_ns)


def _sorted(parser: OutputParser, event: Piece | Finished) -> Delta:
    if isinstance(event, Finished):
        return Delta(parser.finish(), [])
    return Delta(parser.feed(event.text), event.logprobs)


class _Thoughts:
    """The free run before a constrained one; `text` is what the model wrote before its answer."""

    def __init__(self, parser: OutputParser) -> None:
        self.text = ""
        self._parser = parser

    async def parts(
        self, runner: Runner, generation: Generation
    ) -> AsyncGenerator[Delta | Finished, None]:
        """The thoughts; Finished only when there is no room left for an answer."""
        async with aclosing(guarded(runner, generation)) as events:
            async for event in events:
                delta = _sorted(self._parser, event)
                self.text += event.text if isinstance(event, Piece) else ""
                if content := delta.output.content:
                    # Written without the grammar, so the answer begins anew from here.
                    self.text = self.text.rpartition(content)[0]
                    delta = Delta(Output(thinking=delta.output.thinking), [])
                if delta:
                    yield delta
                if content:
                    return
                if isinstance(event, Finished) and event.reason == "length":
                    yield event


async def _require_enforceable(runner: Runner, request: Request, text: str) -> Finished:
    """Read the prompt under the grammar: it is refused now or never, and the reading is cached."""
    generation = await _generation(runner, request, text, request.grammar)
    generation.sampling.num_predict = 0
    async with aclosing(runner.generate(generation)) as events:
        return [event async for event in events if isinstance(event, Finished)][-1]


async def _generation(
    runner: Runner, request: Request, text: str, grammar: Grammar | None = None
) -> Generation:
    prompt: str | list[int] = text
    if request.context:
        prompt = [*request.context, *await runner.tokenize(text, add_special=False)]
    return Generation(
        prompt=prompt,
        sampling=request.sampling(runner.info.n_ctx),
        logprobs=request.logprobs,
        truncate=request.truncate,
        grammar=grammar,
        adapters=request.loading.adapters,
    )
