"""The end of a server that is answering: wait a while, then say why, or stop at once."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse

import pytest

from modelkit.store import Store
from tests.serve.api.test_server import first_line, port_of, start


class Draining:
    """A server process with one answer under way."""

    def __init__(self, store: Store) -> None:
        self.process = start(store)
        self.port = port_of(first_line(self.process))
        self.connection = HTTPConnection("127.0.0.1", self.port, timeout=60)

    def stream(self, tokens: int) -> HTTPResponse:
        """An answer of that many tokens, of which the first line has come."""
        # The special tokens stand at the end of the vocabulary; without them no answer ends early.
        ends = {str(token): -1e9 for token in range(503, 512)}
        options = {"num_predict": tokens, "temperature": 1.2, "top_k": 0, "logit_bias": ends}
        body = {"model": "tiny", "prompt": "Why", "options": options}
        self.connection.request("POST", "/api/generate", json.dumps(body))
        response = self.connection.getresponse()
        assert response.status == 200
        assert response.readline()
        return response

    def signal(self) -> None:
        self.process.send_signal(signal.SIGTERM)


@pytest.fixture
def draining(models: Store) -> Iterator[Draining]:
    server = Draining(models)
    yield server
    server.connection.close()
    server.process.kill()
    server.process.communicate()


def last_line(response: HTTPResponse) -> dict[str, object]:
    line: dict[str, object] = json.loads(response.read().splitlines()[-1])
    return line


def refuses(port: int) -> bool:
    """Is a connection refused?"""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionError:
        return True
    return False


def test_an_answer_comes_to_its_end(draining: Draining) -> None:
    response = draining.stream(300)
    draining.signal()
    line = last_line(response)
    assert line["done"] is True
    assert line["eval_count"] == 300
    assert draining.process.wait(30) == 0


def test_who_comes_late_is_refused_meanwhile(draining: Draining) -> None:
    response = draining.stream(800)
    draining.signal()
    while not refuses(draining.port):
        pass
    assert last_line(response)["done"] is True
    assert draining.process.wait(30) == 0


def test_an_answer_that_takes_too_long_ends_with_the_reason(
    models: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELKIT_DRAIN_TIMEOUT", "1ms")
    server = Draining(models)
    response = server.stream(30_000)
    server.signal()
    assert "unloaded while it was answering" in str(last_line(response)["error"])
    assert server.process.wait(30) == 0
    server.connection.close()
    server.process.communicate()


def test_a_second_signal_ends_the_server_at_once(draining: Draining) -> None:
    draining.stream(30_000)
    draining.signal()
    while draining.process.poll() is None:
        try:
            draining.process.wait(0.1)
        except subprocess.TimeoutExpired:
            draining.signal()
    assert draining.process.returncode == -signal.SIGTERM
