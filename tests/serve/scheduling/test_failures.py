"""Waiting longer and longer with a model whose runners die."""

import pytest

from modelkit.errors import EngineError
from modelkit.serve.scheduling.failures import FREE_DEATHS, LONGEST_WAIT, WINDOW, Failures, Unstable


class Clock:
    """A time that only the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def failures(clock: Clock) -> Failures:
    return Failures(clock)


def die(failures: Failures, times: int, reason: str = "killed by SIGSEGV") -> None:
    for _ in range(times):
        failures.died("key", "llama:latest", reason)


def test_the_first_deaths_make_nobody_wait(failures: Failures) -> None:
    die(failures, FREE_DEATHS - 1)
    failures.check("key")


def test_after_some_deaths_a_model_waits_with_the_reason(failures: Failures, clock: Clock) -> None:
    die(failures, FREE_DEATHS)
    with pytest.raises(Unstable) as caught:
        failures.check("key")
    assert caught.value.message == (
        "the model's runner died 3 times without an answer, last because: killed by SIGSEGV"
    )
    assert caught.value.hint == "it will be started again in 1 s at the earliest"
    assert isinstance(caught.value, EngineError)
    failures.check("another")
    clock.now += 1
    failures.check("key")


def test_the_wait_doubles_up_to_a_minute(failures: Failures, clock: Clock) -> None:
    die(failures, FREE_DEATHS)
    waits = []
    for _ in range(8):
        waits.append(failures.all()[0].retry_at - clock.now)
        die(failures, 1)
    assert waits == [1, 2, 4, 8, 16, 32, LONGEST_WAIT, LONGEST_WAIT]


def test_an_answer_forgives_and_keeps_the_reason(failures: Failures) -> None:
    die(failures, FREE_DEATHS)
    failures.worked("key")
    failures.check("key")
    die(failures, FREE_DEATHS - 1, "killed by SIGKILL")
    failures.check("key")
    [failure] = failures.all()
    assert (failure.name, failure.reason) == ("llama:latest", "killed by SIGKILL")
    assert (failure.deaths, failure.died_at) == (2, 1000.0)


def test_old_deaths_do_not_count(failures: Failures, clock: Clock) -> None:
    die(failures, FREE_DEATHS - 1)
    clock.now += WINDOW + 1
    die(failures, FREE_DEATHS - 1)
    failures.check("key")
    assert failures.all()[0].deaths == FREE_DEATHS - 1


def test_the_list_does_not_grow_for_ever(failures: Failures) -> None:
    for number in range(1000):
        failures.died(str(number), f"model {number}", "killed")
    assert len(failures.all()) < 100
    assert failures.all()[-1].name == "model 999"
