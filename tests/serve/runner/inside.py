"""The decode loop in the test's own process: one step at a time, everything in the test's hands."""

from __future__ import annotations

from collections.abc import Sequence as Run
from pathlib import Path
from typing import Any

from modelkit.serve.runner.adapters import NO_ADAPTERS, Adapters, AdapterSet
from modelkit.serve.runner.frames import Failure
from modelkit.serve.runner.generator import Generator
from modelkit.serve.runner.llama.context import Context
from modelkit.serve.runner.llama.log import Log
from modelkit.serve.runner.llama.model import Model
from modelkit.serve.runner.sequence import Sequence
from modelkit.serve.runner.speculation.drafter import Drafter
from modelkit.serve.types import Adapter, Finished, Generation, LoadOptions, Piece, Sampling


def the_log() -> Log:
    """llama.cpp has one log in a process: the one that was made last."""
    return getattr(Log, "_current", None) or Log()


class Inside:
    """A Generator over a tiny model, with its cache in f32: equal tokens have equal logits."""

    unified = True

    def __init__(
        self, path: Path, *, drafter: Drafter | None = None, cells: int = 0, **options: Any
    ) -> None:
        self.options = LoadOptions(
            **{"num_ctx": 256, "num_parallel": 4, "num_batch": 64, **options}
        )
        self.model = Model(str(path), the_log())
        self.context = Context(
            self.model,
            n_ctx=cells or self.options.num_ctx * self.options.num_parallel,
            n_batch=self.options.num_batch,
            n_seq_max=self.options.num_parallel,
            n_threads=1,
            cache_type="f32",
            flash_attention="off",
            max_outputs=self.options.num_parallel * (1 + (drafter.most if drafter else 0)),
            unified=self.unified,
        )
        self.generator = Generator(self.context, self.options, drafter=drafter)
        self.texts: dict[int, str] = {}
        self.ends: dict[int, Finished] = {}
        self._adapters = Adapters(self.model)
        self._count = 0

    def load(self, adapters: Run[Adapter]) -> AdapterSet:
        return self._adapters.load(adapters) if adapters else NO_ADAPTERS

    def submit(self, request: Generation) -> int:
        """A request's id; it starts with the next step."""
        sequence = Sequence(
            self._count,
            request,
            self.model,
            n_ctx=self.options.num_ctx,
            shifts=self.options.shift,
            adapters=self.load(request.adapters),
        )
        self._count += 1
        self.texts[sequence.id] = ""
        self.generator.submit(sequence)
        return sequence.id

    def step(self) -> None:
        for id_, body in ((answer.id, answer.body) for answer in self.generator.step()):
            assert not isinstance(body, Failure), body.message
            if isinstance(body, Piece):
                self.texts[id_] += body.text
            elif isinstance(body, Finished):
                self.ends[id_] = body

    def finish(self) -> None:
        """Steps until nothing is left to do."""
        while self.generator.active or self.generator.waiting:
            self.step()

    def ask(self, *requests: Generation) -> list[Finished]:
        """The ends of requests that run together."""
        ids = [self.submit(request) for request in requests]
        self.finish()
        return [self.ends[id_] for id_ in ids]

    def answer(self, request: Generation) -> list[int]:
        """The tokens of an answer."""
        [end] = self.ask(request)
        return end.context[end.prompt_tokens :]


def greedy(prompt: str | list[int], num_predict: int = 20, **options: Any) -> Generation:
    """A request whose answer the model's logits decide alone."""
    return Generation(prompt, Sampling(temperature=0.0, num_predict=num_predict, **options))
