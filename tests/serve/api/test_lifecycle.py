"""Loading, unloading, many at once, clients that leave, runners that die."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from typing import Any

import pytest

from modelkit.serve.types import Stats
from modelkit.store import Store
from tests.serve.api.harness import Server, running

LONG = {"num_predict": 4000, "temperature": 1.2, "top_k": 0, "seed": 3, "num_ctx": 4096}
PROMPTS = [f"{number} is a number, and {number + 1}" for number in range(8)]


@pytest.fixture
def fresh(models: Store) -> Iterator[Server]:
    """A server of the test's own, with nothing loaded."""
    with running(models, keep_alive=60.0) as server:
        yield server


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def loaded(server: Server) -> list[str]:
    return [model["name"] for model in server.request("GET", "/api/ps").json["models"]]


def stats(server: Server) -> Stats:
    entry = next(iter(server.scheduler._roster))
    return server.call(entry.runner.stats())


def pid(server: Server) -> int:
    return next(iter(server.scheduler._roster)).runner.pid


def start_stream(server: Server, **body: Any) -> HTTPResponse:
    connection = server.connect()
    request = {"model": "tiny", "prompt": "Why", "options": LONG} | body
    connection.request("POST", "/api/generate", json.dumps(request))
    response = connection.getresponse()
    assert response.status == 200
    assert response.readline()
    return response


def answer(server: Server, prompt: str) -> tuple[str, int]:
    options = {"num_predict": 40, "temperature": 0.0, "num_ctx": 512}
    body = {"model": "exact", "prompt": prompt, "options": options}
    lines = server.post("/api/generate", body).lines
    assert lines[-1]["done"], lines[-1]
    return "".join(line["response"] for line in lines), lines[-1]["eval_count"]


def test_eight_streams_at_once_say_what_each_says_alone(
    models: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All in f32, and no flash attention, which sums in f16: with fewer digits there are ties, which
    # the size of a batch then decides.
    monkeypatch.setenv("MODELKIT_KV_CACHE_TYPE", "f32")
    monkeypatch.setenv("MODELKIT_FLASH_ATTENTION", "0")
    with running(models) as server, ThreadPoolExecutor(8) as pool:
        alone = [answer(server, prompt) for prompt in PROMPTS]
        together = list(pool.map(lambda prompt: answer(server, prompt), PROMPTS))
    assert together == alone
    assert len(set(alone)) > 1


def test_embeddings_run_while_another_model_generates(fresh: Server) -> None:
    ask = {"model": "minilm", "input": "sky"}
    # Loaded before, so that the answer need not last as long as a load takes
    fresh.post("/api/generate", {"model": "tiny"})
    fresh.post("/api/embed", ask)
    response = start_stream(fresh)
    assert fresh.post("/api/embed", ask).status == 200
    assert stats(fresh).active == 1
    assert sorted(loaded(fresh)) == ["minilm:latest", "tiny:latest"]
    response.close()


def test_a_client_that_leaves_stops_its_answer(fresh: Server) -> None:
    response = start_stream(fresh)
    assert stats(fresh).active == 1
    response.close()
    fresh.opened.pop().close()
    wait_for(lambda: stats(fresh).active == 0)
    decoded = stats(fresh).decoded
    time.sleep(0.2)
    assert stats(fresh).decoded == decoded < 4000
    assert loaded(fresh) == ["tiny:latest"]


def test_a_client_that_leaves_before_its_one_body_stops_the_answer_too(fresh: Server) -> None:
    fresh.post("/api/generate", {"model": "tiny", "options": LONG})
    connection = fresh.connect()
    body = {"model": "tiny", "prompt": "Why", "stream": False, "options": LONG}
    connection.request("POST", "/api/generate", json.dumps(body))
    wait_for(lambda: stats(fresh).active == 1)
    connection.close()
    wait_for(lambda: stats(fresh).active == 0)
    assert stats(fresh).decoded < 4000


def test_a_killed_runner_ends_its_stream_and_the_next_request_works(fresh: Server) -> None:
    response = start_stream(fresh)
    os.kill(pid(fresh), signal.SIGKILL)
    lines = [json.loads(line) for line in response.read().splitlines()]
    assert lines[-1]["error"].startswith("model runner has unexpectedly stopped")
    assert not any(line.get("done") for line in lines)
    text, _ = answer(fresh, "Why")
    assert text


def test_a_killed_runner_is_a_500_when_nothing_was_sent(fresh: Server) -> None:
    fresh.post("/api/generate", {"model": "tiny", "options": LONG})
    body = {"model": "tiny", "prompt": "Why", "stream": False, "options": LONG}
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(fresh.post, "/api/generate", body)
        wait_for(lambda: stats(fresh).active == 1)
        os.kill(pid(fresh), signal.SIGKILL)
        result = waiting.result(30)
    assert result.status == 500
    assert result.error.startswith("model runner has unexpectedly stopped")


def test_keep_alive_0_answers_and_unloads(fresh: Server) -> None:
    body = {"model": "tiny", "prompt": "a", "keep_alive": 0, "options": {"num_predict": 2}}
    assert fresh.post("/api/generate", body).lines[-1]["done"]
    wait_for(lambda: loaded(fresh) == [])


def test_a_model_leaves_when_its_time_is_over(fresh: Server) -> None:
    fresh.post("/api/generate", {"model": "tiny", "keep_alive": 0.3})
    assert loaded(fresh) == ["tiny:latest"]
    wait_for(lambda: loaded(fresh) == [], 5)


def test_a_later_request_without_keep_alive_leaves_it_as_it_was(fresh: Server) -> None:
    fresh.post("/api/generate", {"model": "tiny", "keep_alive": -1})
    fresh.post("/api/generate", {"model": "tiny"})
    assert fresh.request("GET", "/api/ps").json["models"][0]["expires_at"] > "2300"


def test_request_options_keep_the_runner_and_load_options_do_not(fresh: Server) -> None:
    def load(**options: Any) -> int:
        fresh.post("/api/generate", {"model": "tiny", "options": options})
        return pid(fresh)

    first = load(num_ctx=256)
    assert load(num_ctx=256, temperature=0.1, num_gpu=-1) == first
    assert load(num_ctx=512) != first


def test_two_names_of_the_same_weights_share_a_runner(fresh: Server) -> None:
    fresh.post("/api/generate", {"model": "tiny"})
    first = pid(fresh)
    fresh.post("/api/generate", {"model": "persona"})
    assert pid(fresh) == first
    assert loaded(fresh) == ["tiny:latest"]


def test_a_full_queue_is_a_503(models: Store) -> None:
    with running(models, max_queue=1, max_loaded=1) as server:
        server.post("/api/generate", {"model": "tiny", "options": LONG})
        response = start_stream(server)
        body = {"model": "minilm", "input": "x"}
        with ThreadPoolExecutor(3) as pool:
            # The first of these loads (and waits for the stream), one waits, one is too many.
            answers = [pool.submit(server.post, "/api/embed", body) for _ in range(3)]
            wait_for(lambda: any(answer.done() for answer in answers))
            response.close()
            server.opened.pop().close()
            results = [answer.result(60) for answer in answers]
    assert sorted(result.status for result in results) == [200, 200, 503]
    busy = next(result for result in results if result.status == 503)
    assert busy.error == "server busy, please try again.  maximum pending requests exceeded"


def test_a_stopped_server_ends_its_runners(models: Store) -> None:
    with running(models) as server:
        server.post("/api/generate", {"model": "tiny"})
        child = pid(server)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_stopped_server_ends_open_streams_in_time(models: Store) -> None:
    with running(models) as server:
        start_stream(server)
        started = time.monotonic()
    assert time.monotonic() - started < 10
