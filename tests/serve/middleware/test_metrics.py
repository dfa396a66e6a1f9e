"""/metrics: what Prometheus reads of a server that answers, and of runners that die."""

import os
import signal
from collections.abc import Mapping

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from tests.serve.api.harness import Server
from tests.serve.api.test_lifecycle import wait_for

TINY = {"model": "tiny:latest"}


class Scrape:
    """Every number of one look at a server."""

    def __init__(self, server: Server) -> None:
        answer = server.request("GET", "/metrics")
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/plain; version=")
        self._samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families(answer.body.decode())
            for sample in family.samples
        }

    def __call__(self, name: str, labels: Mapping[str, str] | None = None) -> float:
        return self._samples.get((f"modelkit_{name}", tuple(sorted((labels or {}).items()))), 0.0)


def generate(server: Server, prompt: str, **options: object) -> dict[str, object]:
    answer = server.post(
        "/api/generate",
        {
            "model": "tiny",
            "prompt": prompt,
            "stream": False,
            "options": {"num_ctx": 512, **options},
        },
    )
    assert answer.status == 200
    numbers: dict[str, object] = answer.json
    return numbers


def test_an_answer_is_counted(open_server: Server) -> None:
    route = {"route": "/api/generate"}
    before = Scrape(open_server)
    answer = generate(open_server, "How are you today?", num_predict=8)
    after = Scrape(open_server)

    def grown(name: str, labels: Mapping[str, str]) -> float:
        return after(name, labels) - before(name, labels)

    assert grown("prompt_tokens_total", TINY) == answer["prompt_eval_count"]
    assert grown("generated_tokens_total", TINY) == answer["eval_count"]
    assert grown("time_to_first_token_seconds_count", TINY) == 1
    assert 0 < grown("time_to_first_token_seconds_sum", TINY) < 100
    assert grown("inter_token_seconds_count", TINY) == 1
    assert 0 < grown("inter_token_seconds_sum", TINY) < 100
    assert grown("http_requests_total", {**route, "status": "200"}) == 1
    assert grown("http_request_duration_seconds_count", route) == 1
    assert after("loaded_models") == 1
    assert after("model_size_bytes", TINY) > 0
    assert after("sequences_running", TINY) == after("load_queue") == 0


def test_a_prompt_that_was_known_is_counted_as_cached(open_server: Server) -> None:
    prompt = "One two three four five six seven eight nine ten eleven twelve thirteen."
    generate(open_server, prompt, num_predict=1)
    before = Scrape(open_server)
    generate(open_server, prompt, num_predict=1)
    cached = "prompt_tokens_cached_total"
    assert Scrape(open_server)(cached, TINY) > before(cached, TINY)


def test_running_sequences_and_requests_are_seen(open_server: Server) -> None:
    connection = open_server.connect()
    body = '{"model": "tiny", "prompt": "a", "options": {"num_predict": 400, "temperature": 1.2}}'
    connection.request("POST", "/api/generate", body)
    response = connection.getresponse()
    assert response.readline()
    now = Scrape(open_server)
    # The scrape is a request, too.
    assert now("http_requests_in_progress") == 2
    assert now("sequences_running", TINY) == 1
    response.close()
    connection.close()
    wait_for(lambda: Scrape(open_server)("http_requests_in_progress") == 1)


def test_failures_are_counted_by_route_and_status(open_server: Server) -> None:
    chat, other = {"route": "/api/chat", "status": "404"}, {"route": "other", "status": "404"}
    before = Scrape(open_server)
    open_server.post("/api/chat", {"model": "none"})
    for path in ("/nope", "/api/nope", "/another/nope"):
        open_server.request("GET", path)
    after = Scrape(open_server)
    assert after("http_requests_total", chat) - before("http_requests_total", chat) == 1
    assert after("http_requests_total", other) - before("http_requests_total", other) == 3


def test_a_runner_that_dies_is_counted_and_replaced(open_server: Server) -> None:
    generate(open_server, "a", num_predict=1)
    before = Scrape(open_server)
    runner = open_server.scheduler.runners()["tiny:latest"]
    os.kill(runner.pid, signal.SIGKILL)
    wait_for(lambda: not runner.alive)
    wait_for(
        lambda: (
            Scrape(open_server)("runner_deaths_total", TINY) > before("runner_deaths_total", TINY)
        )
    )
    assert Scrape(open_server)("loaded_models") == 0
    generate(open_server, "a", num_predict=1)
    after = Scrape(open_server)
    assert after("runner_deaths_total", TINY) - before("runner_deaths_total", TINY) == 1
    assert after("runner_starts_total", TINY) - before("runner_starts_total", TINY) == 1
    assert after("loaded_models") == 1


@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=1.0.0"])
def test_openmetrics_is_spoken_when_asked_for(open_server: Server, accept: str) -> None:
    answer = open_server.request("GET", "/metrics", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    found = open_families(answer.body.decode())  # type: ignore[no-untyped-call]
    names = {family.name for family in found}
    assert names >= {"modelkit_http_requests", "modelkit_loaded_models", "process_open_fds"}
