"""What goes wrong during an answer: clients that leave, runners that die."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import openai
import pytest

from modelkit.serve.types import Stats
from modelkit.store import Store
from tests.serve.api.harness import Server, running

LONG: dict[str, Any] = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "Why"}],
    "prompt": "Why",
    "max_tokens": 4000,
    "temperature": 1.2,
    "seed": 3,
    "options": {"top_k": 0, "num_ctx": 4096},
}
PATHS = ["/v1/chat/completions", "/v1/completions"]


@pytest.fixture(scope="module")
def fresh(models: Store) -> Iterator[Server]:
    """A server of its own, whose runners may be killed."""
    with running(models, keep_alive=600.0) as server:
        yield server


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def runner(server: Server) -> Any:
    return next(iter(server.scheduler._roster)).runner


def active(server: Server) -> int:
    stats: Stats = server.call(runner(server).stats())
    return stats.active


def ask(server: Server, path: str, **body: Any) -> HTTPConnection:
    known = {"prompt"} if "chat" in path else {"messages"}
    request = {key: value for key, value in LONG.items() if key not in known}
    connection = server.connect()
    connection.request("POST", path, json.dumps(request | body))
    return connection


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("number", [1, 3])
def test_a_client_that_leaves_a_stream_stops_it(fresh: Server, path: str, number: int) -> None:
    connection = ask(fresh, path, stream=True, n=number)
    response = connection.getresponse()
    assert response.readline().startswith(b"data: {")
    assert active(fresh) >= 1
    response.close()
    connection.close()
    wait_for(lambda: active(fresh) == 0)


@pytest.mark.parametrize("path", PATHS)
def test_a_client_that_leaves_before_its_answer_stops_it(fresh: Server, path: str) -> None:
    ask(fresh, path, max_tokens=1).getresponse().read()
    connection = ask(fresh, path, n=2)
    wait_for(lambda: active(fresh) == 2)
    connection.close()
    wait_for(lambda: active(fresh) == 0)


@pytest.mark.parametrize("path", PATHS)
def test_a_stream_that_fails_ends_with_the_error(fresh: Server, path: str) -> None:
    response = ask(fresh, path, stream=True, n=2).getresponse()
    assert response.readline()
    os.kill(runner(fresh).pid, signal.SIGKILL)
    *_, last, rest = response.read().decode().split("\n\n")
    assert rest == ""
    error = json.loads(last.strip().removeprefix("data: "))["error"]
    assert error["message"].startswith("model runner has unexpectedly stopped")
    assert error["type"] == "api_error"


def test_the_client_raises_when_a_stream_fails(fresh: Server) -> None:
    with (
        openai.OpenAI(base_url=f"{fresh.url}/v1", api_key="any", max_retries=0) as client,
        client.chat.completions.create(
            model="tiny", messages=LONG["messages"], max_tokens=4000, stream=True
        ) as stream,
    ):
        next(stream)
        os.kill(runner(fresh).pid, signal.SIGKILL)
        with pytest.raises(openai.APIError, match="model runner has unexpectedly stopped"):
            list(stream)
