"""/healthz and /readyz, while the server lives and while it takes its leave."""

import signal
from http.client import HTTPConnection

import pytest

from modelkit.store import Store
from tests.serve.api.harness import Server
from tests.serve.api.test_server import first_line, port_of, start


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_server_is_well_and_ready(open_server: Server, method: str, path: str) -> None:
    assert open_server.request(method, path).status == 200


def ask(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_server_that_leaves_says_so_before_it_refuses(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELKIT_SHUTDOWN_DELAY", "10m")
    process = start(store)
    port = port_of(first_line(process))
    assert ask(port, "/readyz") == 200
    process.send_signal(signal.SIGTERM)
    while ask(port, "/readyz") != 503:
        pass
    assert [ask(port, path) for path in ("/healthz", "/api/version")] == [200, 200]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
