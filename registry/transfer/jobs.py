"""Several blob transfers at once, with progress in the caller's thread."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from modelkit.manifest import Descriptor
from modelkit.progress import Progress, Report

AT_ONCE = 4
REPORT_SECONDS = 0.06

_GRACE = 3.0


class Job(Protocol):
    """One blob on its way."""

    descriptor: Descriptor

    @property
    def completed(self) -> int:
        """Bytes done so far."""
        ...

    def run(self) -> None:
        """Do the work; raises a ModelkitError."""
        ...

    def cancel(self) -> None:
        """Make `run` end soon."""
        ...


def run_jobs(jobs: Sequence[Job], verb: str, report: Report) -> None:
    """Run all jobs, `AT_ONCE` at a time, and report `<verb> <digest>` lines as they move.

    The first failure cancels the others and is raised, and so does an exception from `report`.
    """
    crew = _Crew(jobs)
    shown: dict[int, int] = {}
    try:
        while crew.wait(REPORT_SECONDS):
            _report(jobs, verb, report, shown)
        crew.raise_failure()
        _report(jobs, verb, report, shown)
    finally:
        crew.dismiss()


def _report(jobs: Sequence[Job], verb: str, report: Report, shown: dict[int, int]) -> None:
    for number, job in enumerate(jobs):
        completed = job.completed
        if shown.get(number) != completed:
            shown[number] = completed
            digest = job.descriptor.digest
            report(Progress(f"{verb} {digest.short}", digest, job.descriptor.size, completed))


class _Crew:
    """The threads. They are daemons: one that waits for a silent server holds nobody up."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._queue = deque(jobs)
        self._failures: list[Exception] = []
        self._lock = threading.Lock()
        self._over = threading.Semaphore(0)
        self._threads = [
            threading.Thread(target=self._work, daemon=True) for _ in range(min(AT_ONCE, len(jobs)))
        ]
        self._running = len(self._threads)
        for thread in self._threads:
            thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait a moment; whether work goes on after it."""
        if self._over.acquire(timeout=seconds if self._running else 0):
            self._running -= 1
        return self._running > 0 and not self._failures

    def raise_failure(self) -> None:
        """Raise what ended the first job that failed."""
        if self._failures:
            raise self._failures[0]

    def dismiss(self) -> None:
        """End what still runs; gives the threads a moment to leave tidily."""
        with self._lock:
            self._queue.clear()
        for job in self._jobs:
            job.cancel()
        deadline = time.monotonic() + _GRACE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        try:
            while (job := self._next()) is not None:
                job.run()
        except Exception as error:
            self._failures.append(error)
        finally:
            self._over.release()

    def _next(self) -> Job | None:
        with self._lock:
            return self._queue.popleft() if self._queue and not self._failures else None
