"""Clients that hold a connection: headers and bodies that drip, or never end."""

import socket
from collections.abc import Iterator

import h2.config
import h2.connection
import h2.events
import pytest

from modelkit.asgi import body, hosting
from modelkit.store import Store
from tests.serve.api.harness import Server, running
from tests.serve.api.test_lifecycle import wait_for

POST = b"POST /api/show HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with little patience."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosting, "KEEP_ALIVE", 0.5)
        patch.setattr(body, "PATIENCE", 0.5)
        with running(Store(tmp_path_factory.mktemp("hasty") / "models")) as server:
            yield server


def drip(server: Server, start: bytes, drop: bytes) -> bytes:
    """Send a start, then drop after drop until there is an answer or the end; returns it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.05) as raw:
        raw.sendall(start)
        for _ in range(1000):
            try:
                return raw.recv(1000)
            except TimeoutError:
                raw.sendall(drop)
            except ConnectionError:
                return b""
    raise AssertionError("the server waits for ever")


def test_a_body_that_stops_is_given_up(hasty: Server) -> None:
    answer = drip(hasty, POST + b'{"model":', b"")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_drips_is_given_up(hasty: Server) -> None:
    assert drip(hasty, POST, b" ").startswith(b"HTTP/1.1 408 ")


def test_an_upload_that_drips_is_given_up_and_leaves_nothing(hasty: Server) -> None:
    start = POST.replace(b"/api/show", b"/api/blobs/sha256:" + b"0" * 64)
    assert drip(hasty, start, b"x").startswith(b"HTTP/1.1 408 ")
    wait_for(lambda: list(hasty.store.blobs.iterdir()) == [])


def test_a_header_that_drips_is_given_up(hasty: Server) -> None:
    assert drip(hasty, b"GET / HTTP/1.1\r\nX-Drip: ", b"x") == b""


def test_a_connection_that_says_nothing_is_closed(hasty: Server) -> None:
    assert drip(hasty, b"", b"") == b""


def test_others_are_answered_meanwhile(hasty: Server) -> None:
    drips = [socket.create_connection(("127.0.0.1", hasty.port), timeout=5) for _ in range(200)]
    try:
        for number, raw in enumerate(drips):
            raw.sendall(POST if number % 2 else b"GET / HTTP/1.1\r\nX-Drip: ")
        assert hasty.request("GET", "/api/version").status == 200
    finally:
        for raw in drips:
            raw.close()


def test_a_header_without_an_end_is_refused(hasty: Server) -> None:
    answer = drip(hasty, b"GET / HTTP/1.1\r\n" + b"X-Long: x\r\n" * 10_000, b"")
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_long_headers_end_an_http2_connection(hasty: Server) -> None:
    client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    client.initiate_connection()
    target = [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "localhost")]
    client.send_headers(1, [*target, ("x-long", "x" * 100_000)], end_stream=True)
    ended = False
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=10) as raw:
        raw.sendall(client.data_to_send())
        while data := raw.recv(65536):
            events = client.receive_data(data)
            assert not any(isinstance(event, h2.events.ResponseReceived) for event in events)
            ended = ended or any(isinstance(e, h2.events.ConnectionTerminated) for e in events)
    assert ended
