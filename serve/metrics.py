"""What is counted for Prometheus as it happens. Nothing here is done once per token."""

from time import monotonic

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from modelkit.serve.exchange import current
from modelkit.serve.types import Finished
from modelkit.version import __version__

# Each series would otherwise have a second one that says when it began.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
"""The numbers of this process, whichever application in it made them."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_TOKEN_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 5.0)

ProcessCollector(registry=REGISTRY)
Gauge("modelkit_build_info", "1, with the version.", ["version"], registry=REGISTRY).labels(
    __version__
).set(1)
REQUESTS = Counter(
    "modelkit_http_requests",
    "Requests that were answered, by route pattern (other: no such route) and HTTP status.",
    ["route", "status"],
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "modelkit_http_request_duration_seconds",
    "From the request's header to the answer's last byte.",
    ["route"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
IN_PROGRESS = Gauge(
    "modelkit_http_requests_in_progress", "Requests being answered.", registry=REGISTRY
)
RUNNER_STARTS = Counter(
    "modelkit_runner_starts", "Models that were loaded.", ["model"], registry=REGISTRY
)
RUNNER_DEATHS = Counter(
    "modelkit_runner_deaths",
    "Runners that died by themselves; the next request starts another.",
    ["model"],
    registry=REGISTRY,
)
_PROMPT = Counter(
    "modelkit_prompt_tokens",
    "Tokens of prompts, cached ones included.",
    ["model"],
    registry=REGISTRY,
)
_CACHED = Counter(
    "modelkit_prompt_tokens_cached",
    "Tokens of prompts that were known from earlier requests.",
    ["model"],
    registry=REGISTRY,
)
_GENERATED = Counter(
    "modelkit_generated_tokens", "Tokens of answers.", ["model"], registry=REGISTRY
)
_FIRST = Histogram(
    "modelkit_time_to_first_token_seconds",
    "From the request to the first part of its answer, loading the model included.",
    ["model"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
_BETWEEN = Histogram(
    "modelkit_inter_token_seconds",
    "Mean time between two tokens of an answer, observed once for each answer.",
    ["model"],
    buckets=_TOKEN_SECONDS,
    registry=REGISTRY,
)


class AnswerNumbers:
    """The numbers of one answer of a model; its time begins now."""

    def __init__(self, model: str) -> None:
        self.begun = False
        self._model = model
        self._started = monotonic()
        if exchange := current():
            exchange.model = model

    def begin(self) -> None:
        """The first part is there."""
        self.begun = True
        _FIRST.labels(self._model).observe(monotonic() - self._started)

    def finish(self, end: Finished) -> None:
        """The answer came to its end."""
        _PROMPT.labels(self._model).inc(end.prompt_tokens)
        _CACHED.labels(self._model).inc(end.cached_tokens)
        _GENERATED.labels(self._model).inc(end.tokens)
        if end.tokens > 1:
            _BETWEEN.labels(self._model).observe(end.ns / 1e9 / (end.tokens - 1))
