"""/healthz, /readyz and /metrics: what supervisors, load balancers and Prometheus ask."""

import asyncio
from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from quart import Blueprint, Response, request

from modelkit.errors import EngineError
from modelkit.serve.api.errors import ApiError
from modelkit.serve.api.state import state
from modelkit.serve.api.stream import json_response
from modelkit.serve.metrics import REGISTRY
from modelkit.serve.scheduling.scheduler import Scheduler
from modelkit.serve.types import Runner, Stats

blueprint = Blueprint("health", __name__)

_PATIENCE = 1.0
"""Seconds that a busy runner may take to say what it is doing."""


@blueprint.route("/healthz", methods=["GET", "HEAD"])
async def healthz() -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


@blueprint.route("/readyz", methods=["GET", "HEAD"])
async def readyz() -> Response:
    """Whether requests should be sent here: 503 from the signal to stop on."""
    if state().leaving.is_set():
        raise ApiError(503, "the server is shutting down")
    return json_response({"status": "ok"})


@blueprint.get("/metrics")
async def metrics() -> Response:
    """Everything that is counted, in Prometheus' text format or as OpenMetrics."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    body = encode(_Scrape(await _gauges(state().scheduler)))
    return Response(body, content_type=content_type)


class _Scrape(Collector):
    """The counters, and what the scheduler is doing now."""

    def __init__(self, gauges: list[Metric]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        yield from REGISTRY.collect()
        yield from self._gauges


async def _gauges(scheduler: Scheduler) -> list[Metric]:
    loaded, queue = scheduler.loaded(), scheduler.queued
    size = GaugeMetricFamily(
        "modelkit_model_size_bytes", "Memory of a loaded model.", labels=["model"]
    )
    for entry in loaded:
        size.add_metric([entry.name], entry.info.size_bytes)
    return [
        GaugeMetricFamily("modelkit_loaded_models", "Models in memory.", value=len(loaded)),
        GaugeMetricFamily(
            "modelkit_load_queue", "Requests that wait for a model to be loaded.", value=queue
        ),
        size,
        *await _sequences(scheduler.runners()),
    ]


async def _sequences(runners: dict[str, Runner]) -> list[Metric]:
    """What each runner is doing; nothing of one that does not say so in time."""
    running = GaugeMetricFamily(
        "modelkit_sequences_running", "Answers being generated.", labels=["model"]
    )
    waiting = GaugeMetricFamily(
        "modelkit_sequences_waiting", "Requests that wait for a sequence.", labels=["model"]
    )
    known = await asyncio.gather(*map(_stats, runners.values()))
    for name, stats in zip(runners, known, strict=True):
        if stats is not None:
            running.add_metric([name], stats.active)
            waiting.add_metric([name], stats.waiting)
    return [running, waiting]


async def _stats(runner: Runner) -> Stats | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await runner.stats()
    except (TimeoutError, EngineError):
        return None
