"""Pulls that are killed: nothing broken is listed, and the next pull fetches only the rest."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelkit.manifest import Manifest
from modelkit.names import ModelName
from modelkit.registry.transfer import pull, push
from modelkit.registry.transfer.parts import read_records
from modelkit.store import Store
from tests.registry.servers import (
    MIB,
    DockerRegistry,
    Reply,
    Request,
    Respond,
    WebServer,
    add_model,
    pattern,
    serve_model,
)
from tests.registry.test_pull import asked_bytes

TRANSFER = """
import signal
import sys
from pathlib import Path
from modelkit.names import ModelName
from modelkit.registry.transfer import pull, push
from modelkit.store import Store
# Shells let what they start in the background ignore Ctrl-C, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
name, store = ModelName.parse(sys.argv[1]), Store(Path(sys.argv[2]))
"""
PULL = TRANSFER + "pull(name, store)\n"
# Not ru_maxrss: it also counts the memory of the process that started this one.
PEAK = "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
SIZE = 48 * MIB
NAME = ModelName.parse("lab/m:v1")


def start_transfer(name: ModelName, store: Store, script: str = PULL) -> subprocess.Popen[bytes]:
    """Pull, or run another script, in a process of its own."""
    command = [sys.executable, "-c", script, name.full, str(store.root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture
def served(tmp_path: Path) -> tuple[Manifest, Respond]:
    """A model of 48 MiB and the answers of a registry that has it."""
    origin = Store(tmp_path / "origin")
    return add_model(origin, NAME, pattern(SIZE)), serve_model(origin, NAME)


def bytes_recorded(store: Store, manifest: Manifest) -> int:
    path = store.partial_path(manifest.layers[0].digest)
    return sum(part.completed for part in read_records(path))


def kill_at(process: subprocess.Popen[bytes], store: Store, manifest: Manifest, at: int) -> None:
    """SIGKILL the pull once so many bytes of the weights are on record."""
    while bytes_recorded(store, manifest) < at:
        assert process.poll() is None, "the pull ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_killed_pull_goes_on_where_it_was(served: tuple[Manifest, Respond], store: Store) -> None:
    manifest, steady = served

    def slow(request: Request) -> Reply:
        reply = steady(request)
        reply.rate = 60 * MIB
        return reply

    with WebServer(slow) as server:
        for at in (1, 10 * MIB, 20 * MIB, 40 * MIB):
            kill_at(start_transfer(server.name(), store), store, manifest, at)
            assert store.names() == []
            assert not store.has_blob(manifest.layers[0].digest)
        recorded = bytes_recorded(store, manifest)
        server.requests.clear()
        pull(server.name(), store)
        asked = server.asked("GET", str(manifest.layers[0].digest))
        assert asked_bytes(asked) == SIZE - recorded <= 8 * MIB
        assert store.check(server.name()) == []


def test_a_kill_at_any_moment_leaves_every_listed_model_whole(
    served: tuple[Manifest, Respond], registry: DockerRegistry, store: Store, tmp_path: Path
) -> None:
    origin = Store(tmp_path / "origin")
    older = add_model(origin, registry.name(), pattern(SIZE, seed=2))
    push(registry.name(), origin)
    pull(registry.name(), store)
    newer = add_model(origin, registry.name(), pattern(SIZE, seed=3), licences=5)
    push(registry.name(), origin)
    delays = [0.1 + 0.04 * step for step in range(14)]
    for delay in delays:
        process = start_transfer(registry.name(), store)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert store.manifest(registry.name()).digest in (older.digest, newer.digest)
        assert store.check(registry.name()) == []
    pull(registry.name(), store)
    assert store.manifest(registry.name()).digest == newer.digest
    assert store.check(registry.name()) == []
    assert not list(store.blobs.glob("*-partial"))


def test_processes_that_pull_the_same_model_share_the_download(
    served: tuple[Manifest, Respond], store: Store
) -> None:
    manifest, respond = served
    with WebServer(respond) as server:
        processes = [start_transfer(server.name(), store) for _ in range(4)]
        for process in processes:
            _, errors = process.communicate(timeout=60)
            assert (process.returncode, errors) == (0, b"")
        assert asked_bytes(server.asked("GET", str(manifest.layers[0].digest))) == SIZE
    assert store.check(ModelName.parse(f"{server.host}/lab/m:v1")) == []
    assert not list(store.blobs.glob("*-partial*"))


def test_whoever_waits_for_a_killed_pull_takes_over(
    served: tuple[Manifest, Respond], store: Store
) -> None:
    manifest, steady = served

    def slow(request: Request) -> Reply:
        reply = steady(request)
        reply.rate = 40 * MIB
        return reply

    with WebServer(slow) as server:
        first = start_transfer(server.name(), store)
        while bytes_recorded(store, manifest) == 0:
            time.sleep(0.01)
        second = start_transfer(server.name(), store)
        kill_at(first, store, manifest, 8 * MIB)
        _, errors = second.communicate(timeout=60)
        assert (second.returncode, errors) == (0, b"")
        assert store.check(server.name()) == []


def test_an_interrupt_from_the_keyboard_ends_a_pull_quickly(
    served: tuple[Manifest, Respond], store: Store
) -> None:
    manifest, steady = served

    def slow(request: Request) -> Reply:
        reply = steady(request)
        reply.rate = 10 * MIB
        return reply

    with WebServer(slow) as server:
        process = start_transfer(server.name(), store)
        while bytes_recorded(store, manifest) == 0:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, errors = process.communicate(timeout=10)
        assert time.monotonic() - began < 4
        assert errors.rstrip().endswith(b"KeyboardInterrupt")
    assert store.names() == []


def test_memory_stays_flat_whatever_the_models_size(
    registry: DockerRegistry, store: Store, tmp_path: Path
) -> None:
    origin = Store(tmp_path / "origin")
    add_model(origin, registry.name(), bytes(200 * MIB))
    for verb, side in (("push", origin), ("pull", store)):
        script = f"{TRANSFER}{verb}(name, store)\n{PEAK}"
        process = start_transfer(registry.name(), side, script)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, b"")
        assert 10 * 1024 < int(output) < 120 * 1024, verb
    assert store.check(registry.name()) == []
