"""Real registries to test against: Debian's docker-registry, and small servers that misbehave."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import bcrypt
import pytest

from modelkit.digest import Digest
from modelkit.manifest import Descriptor, Manifest, MediaType, ModelConfig
from modelkit.names import ModelName
from modelkit.store import Store

_CONFIG = """\
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: /nonexistent}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http: {addr: 127.0.0.1:0}
"""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


@pytest.fixture
def start_registry(tmp_path: Path) -> Iterator[StartRegistry]:
    """Start docker-registry processes; each is stopped by its pid at the end."""
    started: list[DockerRegistry] = []

    def start(**settings: str) -> DockerRegistry:
        root = tmp_path / f"registry-{len(started)}"
        root.mkdir()
        config = root / "config.yml"
        config.write_text(_CONFIG)
        port = free_port()
        environment = {
            **{name: text for name, text in os.environ.items() if name in ("PATH", "HOME")},
            "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(root),
            "OTEL_TRACES_EXPORTER": "none",
            **{f"REGISTRY_{name}": text for name, text in settings.items()},
        }
        log = (root / "log").open("wb")
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], env=environment, stdout=log, stderr=log
        )
        log.close()
        registry = DockerRegistry(root, port, process)
        started.append(registry)
        wait_for_port(port, process)
        return registry

    yield start
    for registry in started:
        registry.stop()


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


@pytest.fixture
def registry(start_registry: StartRegistry) -> DockerRegistry:
    """A docker-registry that asks for no password."""
    return start_registry()


@pytest.fixture
def locked_registry(start_registry: StartRegistry, tmp_path: Path) -> DockerRegistry:
    """A docker-registry that wants `alice` and `s3cret`."""
    hashed = bcrypt.hashpw(b"s3cret", bcrypt.gensalt(4, prefix=b"2a")).decode()
    file = tmp_path / "htpasswd"
    file.write_text(f"alice:{hashed}\n")
    return start_registry(AUTH="htpasswd", AUTH_HTPASSWD_REALM="lab", AUTH_HTPASSWD_PATH=str(file))


def pattern(size: int, seed: int = 1) -> bytes:
    """Bytes that do not repeat at any part's border; the same for the same seed."""
    import random

    return random.Random(seed).randbytes(size)


def add_model(
    store: Store, name: ModelName, weights: bytes, *, system: str = "Be brief.", extra: int = 0
) -> Manifest:
    """Put a model of these weights, a system text and `extra` more layers into the store."""
    layers = [
        _layer(store, MediaType.MODEL, weights),
        _layer(store, MediaType.SYSTEM, system.encode()),
    ]
    layers += [
        _layer(store, MediaType.LICENSE, f"Licence {number}".encode()) for number in range(extra)
    ]
    config = _layer(store, MediaType.CONFIG, ModelConfig(model_family="llama").to_json())
    manifest = Manifest.new(config, layers)
    store.write_manifest(name, manifest)
    return manifest


def _layer(store: Store, media_type: str, data: bytes) -> Descriptor:
    return Descriptor(media_type, store.add_bytes(data), len(data))
