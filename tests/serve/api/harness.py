"""A real server on a free port, and how tests talk to it."""

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar

import ollama

from modelkit.address import Address
from modelkit.asgi.hosting import listen, serve
from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.compiler.sources import model_files, relative_names
from modelkit.names import ModelName
from modelkit.serve.app import create_app
from modelkit.serve.keys import KeyFile
from modelkit.serve.scheduling.scheduler import Scheduler
from modelkit.store import Store

T = TypeVar("T")


@dataclass
class Answer:
    """What came back from a raw request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def error(self) -> str:
        """The text of an error, in whatever API's form."""
        error = self.json["error"]
        return str(error["message"] if isinstance(error, dict) else error)


@dataclass
class Server:
    """A running server and ways to talk to it."""

    store: Store
    scheduler: Scheduler
    port: int
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    opened: list[HTTPConnection] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> ollama.Client:
        """Ollama's own client; use it in a `with` block."""
        return ollama.Client(host=self.url, timeout=60)

    def connect(self) -> HTTPConnection:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.opened.append(connection)
        return connection

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own; bytes are sent as they are, the rest as JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            found = {key.lower(): value for key, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def post(self, path: str, body: object = None) -> Answer:
        return self.request("POST", path, body)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)


@contextmanager
def running(
    store: Store, *, loopback: bool = True, keys: KeyFile | None = None, **limits: Any
) -> Iterator[Server]:
    """A server in a thread of its own; it is stopped, runners included, at the end."""
    ready: Future[Server] = Future()

    async def main() -> None:
        with listen(Address.parse("127.0.0.1:0")) as listener:
            scheduler, stop = Scheduler(**limits), asyncio.Event()
            app = create_app(store, scheduler=scheduler, loopback=loopback, keys=keys)
            port = listener.getsockname()[1]
            ready.set_result(Server(store, scheduler, port, asyncio.get_running_loop(), stop))
            await serve(app, listener, stop.wait)

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    server = ready.result(30)
    try:
        yield server
    finally:
        for connection in server.opened:
            connection.close()
        server.loop.call_soon_threadsafe(server.stop.set)
        thread.join(30)
        assert not thread.is_alive()


def add_model(store: Store, name: str, folder: Path, **texts: Any) -> None:
    """Build a model from a checkpoint."""
    files = relative_names(model_files(folder))
    build(Recipe(files=files, **texts), ModelName.parse(name), store)


def derive(store: Store, name: str, base: str = "tiny", **texts: Any) -> None:
    """Build a model from another."""
    build(Recipe(base=base, **texts), ModelName.parse(name), store)
