"""Registries started for one test each."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from tests.registry.servers import DockerRegistry, StartRegistry, free_port, wait_for_port

_CONFIG = """\
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: /nonexistent}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http: {addr: 127.0.0.1:0}
"""


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
            "PATH": os.environ["PATH"],
            "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(root),
            **{f"REGISTRY_{name}": text for name, text in settings.items()},
        }
        with (root / "log").open("wb") as log:
            process = subprocess.Popen(
                ["docker-registry", "serve", str(config)],
                env=environment,
                stdout=log,
                stderr=log,
            )
        registry = DockerRegistry(root, port, process)
        started.append(registry)
        wait_for_port(port, process)
        return registry

    yield start
    for registry in started:
        registry.stop()


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
