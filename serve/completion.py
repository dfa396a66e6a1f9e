"""One answer of a model, whichever API asked for it: load, prompt, generate, sort the output."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import msgspec

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
    """The end of the answer; `load_ns` is how long the model took to be ready."""

    finished: Finished
    load_ns: int


async def complete(scheduler: Scheduler, request: Request) -> AsyncGenerator[Delta | Done, None]:
    """The answer as it comes, `Done` last. Closing the generator stops the model.

    Raises UsageError before anything else when the grammar cannot be enforced.
    """
    started = time.monotonic_ns()
    numbers = AnswerNumbers(request.loading.model.name.short)
    async with request.loading.lease(scheduler) as runner:
        load_ns = time.monotonic_ns() - started
        async with aclosing(_answer(runner, request)) as parts:
            async for part in parts:
                if not numbers.begun:
                    numbers.begin()
                if isinstance(part, Finished):
                    numbers.finish(part)
                    yield Done(part, load_ns)
                else:
                    yield part


async def _answer(runner: Runner, request: Request) -> AsyncGenerator[Delta | Finished, None]:
    """One run of the model; two when it thinks before an answer that has a grammar."""
    (text, dropped), form = await request.text(runner), request.format
    if request.grammar and (thinking := form.thoughts(text)):
        await _require_enforceable(runner, request, text)
        thoughts = _Thoughts(thinking)
        free = await _generation(runner, request, text)
        async with aclosing(thoughts.parts(runner, free)) as parts:
            async for part in parts:
                if isinstance(part, Finished):
                    yield _with_dropped(part, dropped)
                    return
                yield part
        text, form = text + thoughts.text, form.without_thoughts()
    parser = form.parser(text)
    generation = await _generation(runner, request, text, request.grammar)
    async with aclosing(guarded(runner, generation)) as events:
        async for event in events:
            if delta := _sorted(parser, event):
                yield delta
            if isinstance(event, Finished):
                yield _with_dropped(event, dropped)


def _with_dropped(finished: Finished, tokens: int) -> Finished:
    """The end of an answer to a prompt that had lost that many tokens before the runner got it."""
    return msgspec.structs.replace(finished, dropped_tokens=finished.dropped_tokens + tokens)


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


async def _require_enforceable(runner: Runner, request: Request, text: str) -> None:
    """Read the prompt under the grammar: it is refused now or never, and the reading is cached."""
    generation = await _generation(runner, request, text, request.grammar)
    generation.sampling.num_predict = 0
    async with aclosing(runner.generate(generation)) as events:
        await anext(events)


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
