"""OpenTelemetry spans, as a collector gets them."""

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from modelkit.serve.middleware.tracing import tracer
from modelkit.store import Store
from tests.serve.api.harness import Server, running

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """An OTLP endpoint that keeps what it gets."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()

    def take(self, raw: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(raw).resource_spans:
            named = {item.key: item.value.string_value for item in resource.resource.attributes}
            self.services.add(named["service.name"])
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def attributes(span: Any) -> dict[str, object]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


def test_a_request_is_a_span_of_the_callers_trace(store: Store, collector: Collector) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "one"}
    with running(store) as server:
        server.request("POST", "/api/show", {"model": "secret"}, headers)
        server.request("GET", "/nope")
    assert collector.services == {"modelkit"}
    first, second = collector.spans
    assert (first.name, second.name) == ("POST /api/show", "GET")
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (TRACE, PARENT)
    assert second.parent_span_id == b""
    assert first.end_time_unix_nano > first.start_time_unix_nano
    assert attributes(first) == {
        "http.request.method": "POST",
        "http.response.status_code": 404,
        "http.route": "/api/show",
        "modelkit.request_id": "one",
    }


def test_a_span_names_the_model(open_server: Server, collector: Collector) -> None:
    body = {"model": "tiny", "prompt": "a", "options": {"num_predict": 1, "num_ctx": 512}}
    with running(open_server.store) as server:
        assert server.post("/api/generate", body).status == 200
    [span] = collector.spans
    assert attributes(span)["gen_ai.request.model"] == "tiny:latest"


def test_without_an_endpoint_nothing_is_traced() -> None:
    assert tracer() is None


def test_without_the_extra_a_server_runs_and_says_so(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert tracer() is None
    assert "pip install 'modelkit-llm[otel]'" in caplog.text
    assert collector.spans == []
