"""A server for the tests of the web, sites that it may read, and Ollama's client of it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import httpx
import ollama
import pytest

from modelkit.store import Store
from tests.registry.servers import Respond, WebServer
from tests.serve.api.harness import Server, running


class StartSite(Protocol):
    """Starts a server that answers by a function and whose pages may be read."""

    def __call__(self, respond: Respond) -> WebServer: ...


class _ToOurs(httpx.HTTPTransport):
    """Where Ollama's client asks ollama.com, ask a server of ours."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._host = f"127.0.0.1:{server.port}"

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.host == "ollama.com"
        request.url = httpx.URL(f"http://{self._host}{request.url.path}")
        request.headers["Host"] = self._host
        return super().handle_request(request)


def ollamas_client(server: Server) -> ollama.Client:
    """Ollama's own client, with the key that it wants to have; use it in a `with` block."""
    headers = {"Authorization": "Bearer client-key"}
    return ollama.Client(headers=headers, transport=_ToOurs(server), timeout=60)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without models."""
    folder: Path = tmp_path_factory.mktemp("web")
    with running(Store(folder / "models")) as server:
        yield server


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[StartSite]:
    """See StartSite; the sites end with the test."""
    with ExitStack() as stack:

        def start(respond: Respond) -> WebServer:
            web = stack.enter_context(WebServer(respond))
            monkeypatch.setenv("MODELKIT_WEB_PRIVATE_HOSTS", f"example.com, {web.host}")
            return web

        yield start
