"""What the signing and server tests share: small models, keys, and a registry on a real socket."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from modelkit.address import Address
from modelkit.asgi import hosting
from modelkit.digest import Digest
from modelkit.manifest import Descriptor, Manifest, MediaType
from modelkit.names import ModelName
from modelkit.registry.server.app import create_app
from modelkit.registry.trust.keys import PrivateKey, generate, load_private
from modelkit.store import Store

NAME = ModelName.parse("registry.example.com/lab/model:v1")


def add_model(store: Store, name: ModelName = NAME, weights: bytes = b"weights") -> Manifest:
    """A model of two small blobs."""
    config = store.add_bytes(b"{}")
    layer = store.add_bytes(weights)
    manifest = Manifest.new(
        Descriptor(MediaType.CONFIG, config, 2),
        [Descriptor(MediaType.MODEL, layer, len(weights))],
    )
    store.write_manifest(name, manifest)
    return manifest


def new_key(folder: Path, name: str = "key.pem") -> PrivateKey:
    """A fresh Ed25519 key in `folder`, with its `.pub` beside it."""
    generate(folder / name)
    return load_private(folder / name)


@dataclass
class Registry:
    """A running embedded registry and a plain HTTP client for it."""

    url: str
    store: Store
    http: urllib3.PoolManager

    @property
    def host(self) -> str:
        """`127.0.0.1:<port>`."""
        return self.url.removeprefix("http://")

    def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> urllib3.BaseHTTPResponse:
        """One request below `/v2/`; underscores in header names mean hyphens."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        url = path if path.startswith("http") else f"{self.url}/v2/{path}"
        return self.http.request(method, url, body=body, headers=named, redirect=False)

    def push_blob(self, repository: str, data: bytes) -> Digest:
        """Upload a blob in one request."""
        digest = Digest.of(data)
        answer = self.call("POST", f"{repository}/blobs/uploads/?digest={digest}", data)
        assert answer.status == 201, answer.data
        return digest

    def push_model(self, repository: str, tag: str, weights: bytes = b"weights") -> bytes:
        """Upload a two-blob model; returns its manifest's bytes."""
        config = self.push_blob(repository, b"{}")
        layer = self.push_blob(repository, weights)
        raw = Manifest.new(
            Descriptor(MediaType.CONFIG, config, 2),
            [Descriptor(MediaType.MODEL, layer, len(weights))],
        ).raw
        answer = self.call(
            "PUT", f"{repository}/manifests/{tag}", raw, Content_Type=MediaType.MANIFEST_V2
        )
        assert answer.status == 201, answer.data
        return raw


@contextmanager
def running_registry(store: Store, **options: Any) -> Iterator[Registry]:
    """An embedded registry on a free loopback port, served from a thread."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    http = urllib3.PoolManager(timeout=20, retries=False)
    with hosting.listen(Address("http", "127.0.0.1", 0)) as listener:
        served = hosting.serve(create_app(store, **options), listener, stop.wait)
        thread = threading.Thread(target=loop.run_until_complete, args=[served], daemon=True)
        thread.start()
        try:
            yield Registry(hosting.url(listener), store, http)
        finally:
            http.clear()
            loop.call_soon_threadsafe(stop.set)
            thread.join(20)
            assert not thread.is_alive()
            loop.close()


def error_code(answer: urllib3.BaseHTTPResponse) -> str:
    """The OCI error code of an answer."""
    body = answer.json()
    code: str = body["errors"][0]["code"]
    assert body["errors"][0]["message"]
    return code
