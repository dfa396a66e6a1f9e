"""Several transfers at once: failures, progress, and how the rest is stopped."""

import threading
import time

import pytest

from modelkit.digest import Digest
from modelkit.errors import Cancelled, Unreachable
from modelkit.manifest import Descriptor
from modelkit.progress import Progress, silent
from modelkit.registry.transfer.jobs import AT_ONCE, run_jobs


class Steps:
    """Work in steps of one byte, so long as nobody cancels it."""

    def __init__(self, number: int, size: int = 3, error: Exception | None = None) -> None:
        self.descriptor = Descriptor("x", Digest.of(bytes([number])), size)
        self.completed = 0
        self.cancelled = threading.Event()
        self._error = error

    def run(self) -> None:
        while self.completed < self.descriptor.size:
            if self.cancelled.wait(0.005):
                raise Cancelled
            if self._error is not None:
                raise self._error
            self.completed += 1

    def cancel(self) -> None:
        self.cancelled.set()


def test_every_job_is_done_and_its_end_reported() -> None:
    jobs = [Steps(number, size=number) for number in range(3 * AT_ONCE)]
    seen: list[Progress] = []
    run_jobs(jobs, "pulling", seen.append)
    for job in jobs:
        lines = [item for item in seen if item.digest == job.descriptor.digest]
        assert lines[0].status == f"pulling {job.descriptor.digest.short}"
        assert lines[-1].completed == lines[-1].total == job.descriptor.size


def test_no_jobs_are_no_work() -> None:
    run_jobs([], "pulling", silent)


def test_the_first_failure_stops_the_others_and_is_raised() -> None:
    patient = [Steps(number, size=10_000) for number in range(AT_ONCE - 1)]
    waiting = Steps(100)
    began = time.monotonic()
    with pytest.raises(Unreachable, match="gone"):
        run_jobs([*patient, Steps(99, error=Unreachable("gone")), waiting], "pulling", silent)
    assert time.monotonic() - began < 2
    assert all(job.cancelled.is_set() for job in patient)
    assert waiting.completed == 0


def test_an_exception_from_report_stops_everything() -> None:
    jobs = [Steps(number, size=10_000) for number in range(AT_ONCE)]

    def stop(progress: Progress) -> None:
        if progress.completed:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_jobs(jobs, "pulling", stop)
    assert all(job.completed < 10_000 for job in jobs)
    done = [job.completed for job in jobs]
    time.sleep(0.05)
    assert [job.completed for job in jobs] == done


@pytest.mark.parametrize("error", [IndexError("inside"), ValueError("inside")])
def test_a_bug_in_a_job_is_not_taken_for_its_end(error: Exception) -> None:
    with pytest.raises(type(error), match="inside"):
        run_jobs([Steps(1, error=error)], "pulling", silent)
