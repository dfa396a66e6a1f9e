"""The decode loop: takes in work, lets generation and embedding go on in turns, sends answers.

One thread owns the contexts. Others hand it work through `submit`, and it answers through `send`.
"""

from __future__ import annotations

from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from modelkit.errors import EngineError
from modelkit.serve.runner.embedding import Embedder, EmbeddingJob
from modelkit.serve.runner.frames import Answer, Body, Cancel, Failure, GetStats
from modelkit.serve.runner.generator import Generator
from modelkit.serve.runner.outbox import Outbox
from modelkit.serve.runner.sequence import Sequence
from modelkit.serve.types import Stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelkit.serve.runner.loading import Loaded


class Stop(NamedTuple):
    """The process is about to end: keep what outlives it, then say so."""

    done: Event


Work: TypeAlias = Sequence | EmbeddingJob | Cancel | GetStats | Stop


class Engine:
    """Runs sequences and embedding jobs together over one loaded model.

    Raises EngineError when there is no memory for what the model needs.
    """

    def __init__(self, loaded: Loaded, send: Callable[[list[Answer]], None]) -> None:
        self._loaded = loaded
        self._outbox = Outbox(send)
        self._inbox: SimpleQueue[Work] = SimpleQueue()
        self._generator: Generator | None = None
        if loaded.context:
            self._generator = Generator(
                loaded.context,
                loaded.options,
                drafter=loaded.drafter,
                snapshots=loaded.snapshots,
            )
        # An encoder needs it at once; other models seldom do, and it costs memory.
        self._embedder = None if loaded.context else self._new_embedder()
        self._jobs: dict[int, EmbeddingJob] = {}

    def submit(self, work: Work) -> None:
        """Hand over work from any thread; it takes effect between two steps."""
        self._inbox.put(work)

    def stop(self, timeout: float) -> None:
        """Have the prefixes saved that outlive the process; waits at most `timeout` seconds."""
        stop = Stop(Event())
        self.submit(stop)
        stop.done.wait(timeout)

    def run(self) -> None:
        """Work for ever. An exception other than EngineError means a bug: the process must end."""
        while True:
            self._receive()
            if self._generator:
                self._outbox.add(self._generator.step())
            if self._jobs:
                self._embed()
            self._outbox.step_ended()

    def _answer(self, id_: int, body: Body) -> None:
        self._outbox.add([Answer(id_, body)])

    def _receive(self) -> None:
        """Take in new work; wait for some when there is nothing to do."""
        idle = not (self._generates or self._jobs)
        if not idle and self._inbox.empty():
            return
        # New work may make the next step a long one: nothing waits for it.
        self._outbox.flush()
        if idle:
            self._accept(self._inbox.get())
        while not self._inbox.empty():
            self._accept(self._inbox.get())

    @property
    def _generates(self) -> bool:
        return bool(self._generator and (self._generator.active or self._generator.waiting))

    def _accept(self, work: Work) -> None:
        match work:
            case Sequence():
                if self._generator:
                    self._generator.submit(work)
            case EmbeddingJob():
                self._start_job(work)
            case Cancel(id_):
                self._cancel(id_)
            case GetStats(id_):
                self._answer(id_, self._stats())
            case Stop(done):
                self._save()
                done.set()

    def _save(self) -> None:
        if self._generator and self._loaded.snapshots:
            self._generator.save()
            self._loaded.snapshots.close()

    def _stats(self) -> Stats:
        generator, jobs = self._generator, len(self._jobs)
        if not generator:
            return Stats(active=0, waiting=jobs, decoded=0)
        return Stats(generator.active, generator.waiting + jobs, generator.decoded)

    def _cancel(self, id_: int) -> None:
        self._outbox.forget(id_)
        if job := self._jobs.pop(id_, None):
            job.cancelled = True
        if self._generator:
            self._generator.cancel(id_)

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
        if self._loaded.default_adapters.handles:
            embedder.set_adapters(self._loaded.default_adapters.handles)
        return embedder

    def _embed(self) -> None:
        if not self._embedder:
            return
        for job in self._embedder.step():
            if self._jobs.pop(job.id, None):
                body = Failure("engine", job.failure) if job.failure else job.vectors
                self._answer(job.id, body)
