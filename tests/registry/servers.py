"""Real servers for the tests: Debian's docker-registry, and small HTTP servers that misbehave."""

import random
import re
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Protocol, Self

from modelkit.digest import Digest
from modelkit.errors import BlobNotFound
from modelkit.manifest import Descriptor, Manifest, MediaType, ModelConfig
from modelkit.names import ModelName
from modelkit.store import Store

MIB = 1024 * 1024


def pattern(size: int, seed: int = 1) -> bytes:
    """Bytes that do not repeat; the same for the same seed."""
    return random.Random(seed).randbytes(size)


def add_model(store: Store, name: ModelName, weights: bytes, *, licences: int = 0) -> Manifest:
    """Put a model of these weights, a system text and some licences into the store."""
    texts = [(MediaType.SYSTEM, "Be brief.")]
    texts += [(MediaType.LICENSE, f"Licence {number}") for number in range(licences)]
    layers = [_blob(store, MediaType.MODEL, weights)]
    layers += [_blob(store, media_type, text.encode()) for media_type, text in texts]
    config = _blob(store, MediaType.CONFIG, ModelConfig(model_family="llama").to_json())
    manifest = Manifest.new(config, layers)
    store.write_manifest(name, manifest)
    return manifest


def _blob(store: Store, media_type: str, data: bytes) -> Descriptor:
    return Descriptor(media_type, store.add_bytes(data), len(data))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the process answers on the port of 127.0.0.1."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("the server did not start in 20 seconds")


@dataclass
class DockerRegistry:
    """A running docker-registry with a folder of its own."""

    root: Path
    port: int
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def host(self) -> str:
        """`127.0.0.1:<port>`."""
        return f"127.0.0.1:{self.port}"

    def name(self, model: str = "lab/m:v1") -> ModelName:
        """A model name on this registry."""
        return ModelName.parse(f"{self.host}/{model}")

    def blob_file(self, digest: Digest) -> Path:
        """Where the registry keeps a blob's bytes."""
        blobs = self.root / "docker/registry/v2/blobs/sha256"
        return blobs / digest.hex[:2] / digest.hex / "data"

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait(timeout=10)


class StartRegistry(Protocol):
    """Starts a registry; keyword arguments become REGISTRY_… environment settings."""

    def __call__(self, **settings: str) -> DockerRegistry: ...


@dataclass
class Request:
    """What a client sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False)


@dataclass
class Reply:
    """What to answer: `cut` ends the connection after so many bytes of the body, `rate` limits
    the connection to so many bytes a second."""

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    rate: int | None = None


Respond = Callable[[Request], Reply]


class WebServer:
    """An HTTP/1.1 server on a free port of 127.0.0.1 that answers by a function."""

    def __init__(self, respond: Respond) -> None:
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(respond, self.requests))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def name(self, model: str = "lab/m:v1") -> ModelName:
        """A model name on this server."""
        return ModelName.parse(f"{self.host}/{model}")

    def asked(self, method: str, path: str) -> list[Request]:
        """The requests of this method whose path contains `path`."""
        return [item for item in self.requests if item.method == method and path in item.path]


def _handler(respond: Respond, requests: list[Request]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, TimeoutError):
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {key.lower(): value for key, value in self.headers.items()}
            request = Request(self.command, self.path, headers, self.rfile.read(length))
            requests.append(request)
            reply = respond(request)
            self.send_response(reply.status)
            for key, value in reply.headers.items():
                self.send_header(key, value)
            if "Content-Length" not in reply.headers:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self._send_body(reply)

        def _send_body(self, reply: Reply) -> None:
            body = reply.body if reply.cut is None else reply.body[: reply.cut]
            step = len(body) if reply.rate is None else max(reply.rate // 50, 1)
            for start in range(0, len(body), step or 1):
                self.wfile.write(body[start : start + step])
                if reply.rate is not None:
                    time.sleep(0.02)
            if reply.cut is not None:
                self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    return Handler


_BLOB = re.compile(r"/v2/[^/]+/[^/]+/blobs/(sha256:[0-9a-f]{64})")
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


def serve_model(store: Store, name: ModelName, *, ranges: bool = True) -> Respond:
    """Answers for a read-only registry of one stored model."""

    def respond(request: Request) -> Reply:
        if request.path == "/v2/":
            return Reply()
        if request.path == f"/v2/{name.repository}/manifests/{name.tag}":
            manifest = store.manifest(name)
            return Reply(body=manifest.raw, headers={"Content-Type": manifest.media_type})
        match = _BLOB.fullmatch(request.path)
        if match is None:
            return Reply(404)
        try:
            data = store.read_blob(Digest.parse(match[1]), limit=1024 * MIB)
        except BlobNotFound:
            return Reply(404)
        return _ranged(data, request.headers.get("range")) if ranges else Reply(body=data)

    return respond


def _ranged(data: bytes, header: str | None) -> Reply:
    match = _RANGE.fullmatch(header or "")
    if match is None:
        return Reply(body=data)
    start, stop = int(match[1]), min(int(match[2]) + 1, len(data))
    if start >= len(data):
        return Reply(416)
    headers = {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}
    return Reply(206, data[start:stop], headers)
