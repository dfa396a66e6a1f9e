"""OpenTelemetry: one span a request, when an OTLP endpoint is configured and the extra is there."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hypercorn.typing import HTTPScope

    from modelkit.serve.exchange import Exchange

_log = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Tracer(Protocol):
    """What notes the spans of requests."""

    def note(self, scope: HTTPScope, exchange: Exchange, status: int, seconds: float) -> None:
        """A request ended now, after that many seconds."""

    def close(self) -> None:
        """Send what has not been sent yet."""


def tracer() -> Tracer | None:
    """The tracer that the standard OTEL_ variables ask for; None, with a warning if one is missing.

    The variables may be meant for other programs, so that they alone do not keep a server down.
    """
    if not any(map(os.environ.get, _ENDPOINTS)):
        return None
    try:
        return _Spans()
    except ImportError:
        _log.warning("no traces: OpenTelemetry is missing; pip install 'modelkit-llm[otel]'")
        return None


class _Spans:
    """A span for each request, made at its end and sent in the background."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        name = os.environ.get("OTEL_SERVICE_NAME", "modelkit")
        self._provider = TracerProvider(resource=Resource.create({"service.name": name}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("modelkit")
        self._parent = TraceContextTextMapPropagator()
        self._kind = SpanKind.SERVER

    def note(self, scope: HTTPScope, exchange: Exchange, status: int, seconds: float) -> None:
        """See Tracer.note. The names are those of OpenTelemetry's HTTP and GenAI conventions."""
        ended = time.time_ns()
        attributes: dict[str, str | int] = {
            "http.request.method": scope["method"],
            "http.response.status_code": status,
            "modelkit.request_id": exchange.id,
        }
        if exchange.route:
            attributes["http.route"] = exchange.route
        if exchange.model:
            attributes["gen_ai.request.model"] = exchange.model
        carrier = {
            name.decode("latin1"): value.decode("latin1") for name, value in scope["headers"]
        }
        span = self._tracer.start_span(
            f"{scope['method']} {exchange.route}".strip(),
            context=self._parent.extract(carrier),
            kind=self._kind,
            attributes=attributes,
            start_time=ended - int(seconds * 1e9),
        )
        span.end(ended)

    def close(self) -> None:
        """See Tracer.close."""
        self._provider.shutdown()
