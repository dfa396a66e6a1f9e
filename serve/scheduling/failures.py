"""Models whose runners die: why, how often, and from when on they may be tried again."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelkit.errors import EngineError
from modelkit.serve.metrics import RUNNER_DEATHS

if TYPE_CHECKING:
    from collections.abc import Callable

FREE_DEATHS = 3
"""Deaths within WINDOW, and no answer in between, after which a model has to wait."""
WINDOW = 300.0
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
_MOST_MODELS = 64


class Unstable(EngineError):
    """A model's runner died again and again; it is not started before some time has passed."""


@dataclass
class Failure:
    """What is known of a model's dead runners.

    died_at is the unix time of the last death; deaths counts those since the last answer.
    """

    name: str
    reason: str = ""
    died_at: float = 0.0
    retry_at: float = 0.0
    times: deque[float] = field(default_factory=lambda: deque(maxlen=32))

    @property
    def deaths(self) -> int:
        return len(self.times)


class Failures:
    """The deaths of runners by model. `clock` tells unix time."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._failures: dict[str, Failure] = {}

    def died(self, key: str, name: str, reason: str) -> None:
        """A runner of the model died; from the third death in a row on, the model has to wait."""
        RUNNER_DEATHS.labels(name).inc()
        failure = self._failures.pop(key, None) or Failure(name)
        now = self._clock()
        failure.name, failure.reason, failure.died_at = name, reason, now
        failure.times.append(now)
        while failure.times[0] < now - WINDOW:
            failure.times.popleft()
        if failure.deaths >= FREE_DEATHS:
            wait = FIRST_WAIT * 2.0 ** (failure.deaths - FREE_DEATHS)
            failure.retry_at = now + min(wait, LONGEST_WAIT)
        self._failures[key] = failure
        if len(self._failures) > _MOST_MODELS:
            del self._failures[next(iter(self._failures))]

    def worked(self, key: str) -> None:
        """The model answered, so its earlier deaths do not count any more."""
        if failure := self._failures.get(key):
            failure.times.clear()
            failure.retry_at = 0.0

    def check(self, key: str) -> None:
        """Raise Unstable while the model has to wait."""
        failure = self._failures.get(key)
        if failure is None or (left := failure.retry_at - self._clock()) <= 0:
            return
        raise Unstable(
            f"the model's runner died {failure.deaths} times without an answer, last because: "
            f"{failure.reason}",
            hint=f"it will be started again in {left:.0f} s at the earliest",
        )

    def all(self) -> list[Failure]:
        """The models whose runners died, the last one last."""
        return list(self._failures.values())
