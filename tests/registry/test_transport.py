"""Requests that fail, are retried, or are redirected."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from urllib3 import BaseHTTPResponse

from modelkit.errors import RegistryError, Unreachable, UsageError
from modelkit.registry.http.answer import failure, read_body
from modelkit.registry.http.transport import USER_AGENT, Transport, is_loopback, origin
from tests.registry.servers import Reply, Request, WebServer, free_port

Send = Callable[..., BaseHTTPResponse]


@pytest.fixture
def send() -> Iterator[Send]:
    """One GET by a transport of its own."""
    responses: list[BaseHTTPResponse] = []

    def send(url: str, **options: Any) -> BaseHTTPResponse:
        responses.append(Transport(url.split("/")[2]).send("GET", url, **options))
        return responses[-1]

    yield send
    for response in responses:
        response.close()


def test_a_dead_host_is_reported_within_five_seconds(send: Send) -> None:
    port = free_port()
    began = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        send(f"http://127.0.0.1:{port}/v2/")
    assert time.monotonic() - began < 5
    assert caught.value.message == f"cannot reach 127.0.0.1:{port}: connection refused"
    assert caught.value.hint is not None


def test_a_host_name_that_does_not_exist_is_reported(send: Send) -> None:
    with pytest.raises(Unreachable, match=r"cannot reach no-such-host\.invalid:443: no such host"):
        send("https://no-such-host.invalid/v2/")


def test_a_silent_server_is_given_up(send: Send) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Unreachable, match="it fell silent"):
            send(f"http://127.0.0.1:{port}/v2/", patience=0.3)


def test_overload_is_tried_again(send: Send) -> None:
    answers = iter([Reply(503), Reply(429), Reply(body=b"there")])
    with WebServer(lambda _request: next(answers)) as server:
        response = send(server.url)
        assert (response.status, response.read()) == (200, b"there")
    assert len(server.requests) == 3


def test_retry_after_is_respected(send: Send) -> None:
    answers = iter([Reply(429, headers={"Retry-After": "1"}), Reply()])
    began = time.monotonic()
    with WebServer(lambda _request: next(answers)) as server:
        assert send(server.url).status == 200
    assert time.monotonic() - began >= 0.8


def test_overload_that_lasts_is_the_answer(send: Send) -> None:
    with WebServer(lambda _request: Reply(502)) as server:
        assert send(server.url).status == 502
    assert len(server.requests) == 4


def test_a_dropped_connection_is_tried_again(send: Send) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_the_second() -> None:
            server.accept()[0].close()
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = Thread(target=answer_the_second)
        thread.start()
        assert send(f"http://127.0.0.1:{server.getsockname()[1]}/").status == 204
        thread.join()


def test_requests_say_who_asks(send: Send) -> None:
    with WebServer(lambda _request: Reply()) as server:
        send(server.url)
    assert server.requests[0].headers["user-agent"] == USER_AGENT
    assert USER_AGENT.startswith("modelkit/")


def test_a_redirect_to_another_origin_keeps_the_range_and_drops_credentials(
    send: Send,
) -> None:
    headers = {"Authorization": "Basic c2VjcmV0", "Range": "bytes=5-9"}
    with WebServer(lambda _request: Reply(206)) as other:

        def redirect(_request: Request) -> Reply:
            return Reply(307, headers={"Location": f"{other.url}/data?sig=1"})

        with WebServer(redirect) as server:
            assert send(server.url, headers=headers).status == 206
    assert server.requests[0].headers["authorization"] == "Basic c2VjcmV0"
    assert "authorization" not in other.requests[0].headers
    assert other.requests[0].headers["range"] == "bytes=5-9"
    assert other.requests[0].path == "/data?sig=1"


def test_credentials_stay_away_when_a_redirect_comes_back(send: Send) -> None:
    def respond(request: Request) -> Reply:
        if request.path == "/end":
            return Reply()
        return Reply(302, headers={"Location": f"{other.url}/back"})

    with WebServer(respond) as server:
        back = Reply(302, headers={"Location": f"{server.url}/end"})
        with WebServer(lambda _request: back) as other:
            send(f"{server.url}/start", headers={"Authorization": "Basic c2VjcmV0"})
    assert server.requests[1].path == "/end"
    assert "authorization" not in server.requests[1].headers


def test_a_redirect_on_the_same_origin_keeps_the_credentials(send: Send) -> None:
    def respond(request: Request) -> Reply:
        return Reply() if request.path == "/b" else Reply(301, headers={"Location": "/b"})

    with WebServer(respond) as server:
        send(f"{server.url}/a", headers={"Authorization": "Basic c2VjcmV0"})
    assert server.requests[1].headers["authorization"] == "Basic c2VjcmV0"


def test_a_redirected_upload_sends_its_body_again() -> None:
    def respond(request: Request) -> Reply:
        return Reply(201) if request.path == "/b" else Reply(307, headers={"Location": "/b"})

    with WebServer(respond) as server:
        pieces = [b"ab", b"c"]
        transport = Transport(server.host)
        transport.send("PUT", server.url, body=lambda: iter(pieces), length=3).close()
    assert [request.body for request in server.requests] == [b"abc", b"abc"]


def test_redirects_in_circles_end(send: Send) -> None:
    with (
        WebServer(lambda _request: Reply(302, headers={"Location": "/"})) as server,
        pytest.raises(RegistryError, match="redirects in circles"),
    ):
        send(server.url)


@pytest.mark.parametrize("location", ["http://127.0.0.1:1/", "http://localhost:1/"])
def test_a_public_registry_may_not_redirect_to_this_machine(location: str) -> None:
    with WebServer(lambda _request: Reply()) as inside:
        transport = Transport("registry.example.com", public=True)
        target = location.replace(":1/", f":{inside.host.split(':')[1]}/")
        with pytest.raises(RegistryError, match=r"redirect to the private address 127\.0\.0\.1"):
            transport.send("GET", target)
    assert inside.requests == []


def test_redirects_to_private_addresses_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELKIT_PRIVATE_REDIRECTS", "1")
    with WebServer(lambda _request: Reply(204)) as inside:
        transport = Transport("8.8.8.8")
        assert transport.send("GET", inside.url).status == 204
        monkeypatch.delenv("MODELKIT_PRIVATE_REDIRECTS")
        with pytest.raises(RegistryError, match="redirect to the private address"):
            Transport("8.8.8.8").send("GET", inside.url)


def test_a_redirect_out_of_the_web_is_refused(send: Send) -> None:
    with (
        WebServer(
            lambda _request: Reply(302, headers={"Location": "file:///etc/passwd"})
        ) as server,
        pytest.raises(RegistryError, match="not a web address"),
    ):
        send(server.url)


def test_plain_http_is_for_loopback_unless_allowed(send: Send) -> None:
    with pytest.raises(RegistryError, match=r"insecure protocol http: 192\.0\.2\.1"):
        send("http://192.0.2.1/v2/")
    assert [is_loopback(name) for name in ("localhost", "127.9.9.9", "::1", "a.localhost")] == (
        [True] * 4
    )
    assert not any(map(is_loopback, ("192.168.0.1", "localhost.example.com", "example.com")))


def test_origins_differ_by_scheme_host_and_port() -> None:
    assert origin("https://a.example/x") == origin("https://A.example:443/y")
    assert len({origin(url) for url in ("http://a/", "https://a/", "https://a:444/")}) == 3


def test_error_bodies_become_one_line(send: Send) -> None:
    body = b'{"errors":[{"code":"DENIED","message":"not\\nyours"},{"code":"NAME_INVALID"}]}'
    with WebServer(lambda _request: Reply(403, body)) as server:
        error = failure(send(server.url), "push blob")
    assert error.message == "push blob: 403: DENIED not yours; NAME_INVALID"
    assert (error.status, error.hint is not None) == (403, True)


def test_an_error_answer_shorter_than_announced_is_still_read(send: Send) -> None:
    reply = Reply(416, b"past the end", {"Content-Length": "1000000"}, cut=12)
    with WebServer(lambda _request: reply) as server:
        assert failure(send(server.url), "pull").message == "pull: 416: past the end"


def test_a_body_over_the_limit_is_refused(send: Send) -> None:
    with WebServer(lambda _request: Reply(body=b"x" * 100)) as server:
        assert read_body(send(server.url), 100, server.url) == b"x" * 100
        with pytest.raises(RegistryError, match="longer than 99 bytes"):
            read_body(send(server.url), 99, server.url)


def test_a_body_that_breaks_off_is_unreachable(send: Send) -> None:
    with (
        WebServer(lambda _request: Reply(body=b"x" * 100, cut=50)) as server,
        pytest.raises(Unreachable),
    ):
        read_body(send(server.url), 1000, server.url)


def test_an_authority_file_that_is_missing_is_a_usage_error(
    send: Send, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODELKIT_CA", str(tmp_path / "none.crt"))
    with pytest.raises(UsageError, match=r"none\.crt: No such file"):
        send("https://127.0.0.1:1/")


def test_a_proxy_from_the_environment_is_used_but_not_for_loopback(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebServer(lambda _request: Reply()) as proxy, WebServer(lambda _request: Reply()) as near:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "internal.example.com")
        send(near.url)
        transport = Transport("registry.example.com", insecure=True, public=True)
        transport.send("GET", "http://registry.example.com/v2/").close()
        assert [request.path for request in proxy.requests] == ["http://registry.example.com/v2/"]
        assert len(near.requests) == 1
        with pytest.raises(Unreachable):
            transport.send("GET", "http://internal.example.com/v2/")
        assert len(proxy.requests) == 1
