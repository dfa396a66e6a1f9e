"""The decode loop: every step packs all active sequences into one batch, decodes and samples.

One thread owns the contexts. Others hand it work through `submit`, and it answers through `send`.
"""

from __future__ import annotations

from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

from modelkit.errors import EngineError
from modelkit.serve.runner.embedding import Embedder, EmbeddingJob
from modelkit.serve.runner.frames import Answer, Body, Cancel, Failure, GetStats
from modelkit.serve.runner.sequence import Sequence
from modelkit.serve.runner.steps import Stepper
from modelkit.serve.types import Finished, Stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelkit.serve.runner.loading import Loaded

Work: TypeAlias = Sequence | EmbeddingJob | Cancel | GetStats


class Engine:
    """Runs sequences and embedding jobs together over one loaded model.

    Raises EngineError when there is no memory for what the model needs.
    """

    def __init__(self, loaded: Loaded, send: Callable[[list[Answer]], None]) -> None:
        self._loaded = loaded
        self._send = send
        self._inbox: SimpleQueue[Work] = SimpleQueue()
        self._answers: list[Answer] = []
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []
        self._free_slots = deque(range(loaded.options.num_parallel))
        context, options = loaded.context, loaded.options
        self._stepper = context and Stepper(context, options.num_batch, loaded.drafter)
        # An encoder needs it at once; other models seldom do, and it costs memory.
        self._embedder = None if loaded.context else self._new_embedder()
        self._jobs: dict[int, EmbeddingJob] = {}

    def submit(self, work: Work) -> None:
        """Hand over work from any thread; it takes effect between two steps."""
        self._inbox.put(work)

    def run(self) -> None:
        """Work for ever. An exception other than EngineError means a bug: the process must end."""
        while True:
            self._receive()
            self._admit()
            if self._running and self._stepper:
                self._step(self._stepper)
            if self._jobs:
                self._embed()
            if self._answers:
                self._send(self._answers)
                self._answers = []

    def _answer(self, id_: int, body: Body) -> None:
        self._answers.append(Answer(id_, body))

    def _receive(self) -> None:
        """Take in new work; wait for some when there is nothing to do."""
        if not (self._running or self._waiting or self._jobs or self._answers):
            self._accept(self._inbox.get())
        while not self._inbox.empty():
            self._accept(self._inbox.get())

    def _accept(self, work: Work) -> None:
        match work:
            case Sequence():
                self._waiting.append(work)
            case EmbeddingJob():
                self._start_job(work)
            case Cancel(id_):
                self._cancel(id_)
            case GetStats(id_):
                self._answer(id_, self._stats())

    def _stats(self) -> Stats:
        return Stats(
            active=len(self._running),
            waiting=len(self._waiting) + len(self._jobs),
            decoded=self._stepper.decoded if self._stepper else 0,
        )

    def _cancel(self, id_: int) -> None:
        if job := self._jobs.pop(id_, None):
            job.cancelled = True
        for sequence in [s for s in self._running if s.id == id_]:
            self._retire(sequence)
        for sequence in [s for s in self._waiting if s.id == id_]:
            self._waiting.remove(sequence)
            sequence.free()

    def _admit(self) -> None:
        """Give free slots to waiting sequences, first come first served."""
        while self._waiting and self._free_slots:
            sequence = self._waiting.popleft()
            sequence.start(self._free_slots.popleft())
            self._running.append(sequence)

    def _retire(self, sequence: Sequence) -> None:
        if self._loaded.context:
            self._loaded.context.remove(sequence.slot)
        if self._loaded.drafter:
            self._loaded.drafter.release(sequence.slot)
        sequence.free()
        self._running.remove(sequence)
        self._free_slots.append(sequence.slot)

    def _step(self, stepper: Stepper) -> None:
        try:
            outcomes = stepper.step(self._running)
        except EngineError as error:
            self._fail_running(error.message)
            return
        for sequence, events, failure in outcomes:
            self._answers.extend(Answer(sequence.id, event) for event in events)
            if failure:
                self._answer(sequence.id, Failure("engine", failure.message))
            if failure or (events and isinstance(events[-1], Finished)):
                self._retire(sequence)

    def _fail_running(self, message: str) -> None:
        """All running sequences were in the batch that failed, so none can go on."""
        for sequence in list(self._running):
            self._answer(sequence.id, Failure("engine", message))
            self._retire(sequence)

    def _start_job(self, job: EmbeddingJob) -> None:
        try:
            embedder = self._embedder = self._embedder or self._new_embedder()
        except EngineError as error:
            self._answer(job.id, Failure("engine", error.message))
            return
        if job.done:
            self._answer(job.id, job.vectors)
            return
        self._jobs[job.id] = job
        embedder.submit(job)

    def _new_embedder(self) -> Embedder:
        options = self._loaded.options
        embedder = Embedder(
            self._loaded.model,
            n_ctx=options.num_ctx,
            num_batch=options.num_batch,
            threads=options.num_thread,
            flash_attention=options.flash_attention,
        )
        if self._loaded.adapters:
            embedder.set_adapters(self._loaded.adapters)
        return embedder

    def _embed(self) -> None:
        if not self._embedder:
            return
        for job in self._embedder.step():
            if self._jobs.pop(job.id, None):
                body = Failure("engine", job.failure) if job.failure else job.vectors
                self._answer(job.id, body)
