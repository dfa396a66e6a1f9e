"""Pulling models: what arrives, what is refused, and what the store looks like afterwards."""

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from modelkit.errors import (
    AuthError,
    Cancelled,
    DigestMismatch,
    ManifestError,
    NotFound,
    Refused,
    RegistryError,
    StoreError,
    Unreachable,
)
from modelkit.manifest import Manifest, MediaType
from modelkit.names import ModelName
from modelkit.progress import Progress
from modelkit.registry.auth.credentials import store as store_credentials
from modelkit.registry.transfer import pull, push
from modelkit.registry.trust.policy import Policy
from modelkit.store import Store
from tests.registry.servers import (
    MIB,
    DockerRegistry,
    Reply,
    Request,
    WebServer,
    add_model,
    free_port,
    pattern,
    serve_model,
)

WEIGHTS = pattern(40 * MIB)


@pytest.fixture
def origin(tmp_path: Path) -> Store:
    """The store that models are pushed or served from."""
    return Store(tmp_path / "origin")


@pytest.fixture
def pushed(registry: DockerRegistry, origin: Store) -> Manifest:
    """A model of 40 MiB, `lab/m:v1`, on the registry."""
    manifest = add_model(origin, registry.name(), WEIGHTS)
    push(registry.name(), origin)
    return manifest


def leftovers(store: Store) -> list[str]:
    """The files among the blobs that are no blobs."""
    return [path.name for path in store.blobs.iterdir() if len(path.name) != len("sha256-") + 64]


def test_a_pulled_model_is_byte_identical(
    registry: DockerRegistry, pushed: Manifest, store: Store
) -> None:
    assert pull(registry.name(), store).raw == pushed.raw
    assert store.manifest(registry.name()).raw == pushed.raw
    assert store.check(registry.name()) == []
    assert leftovers(store) == []


def test_the_statuses_are_ollamas(registry: DockerRegistry, pushed: Manifest, store: Store) -> None:
    seen: list[Progress] = []
    pull(registry.name(), store, report=seen.append)
    statuses = list(dict.fromkeys(progress.status for progress in seen))
    pulling = [
        f"pulling {item.digest.short}" for item in (*pushed.layers, *pushed.descriptors()[:1])
    ]
    assert statuses == [
        "pulling manifest",
        *pulling,
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    for descriptor in pushed.descriptors():
        lines = [item for item in seen if item.digest == descriptor.digest]
        assert all(line.total == descriptor.size for line in lines)
        assert [line.completed for line in lines] == sorted(line.completed for line in lines)
        assert lines[-1].completed == descriptor.size


def test_a_model_that_is_there_is_not_fetched_again(origin: Store, store: Store) -> None:
    name = ModelName.parse("lab/m:v1")
    add_model(origin, name, pattern(2 * MIB))
    with WebServer(serve_model(origin, name)) as server:
        pull(server.name(), store)
        server.requests.clear()
        seen: list[Progress] = []
        manifest = pull(server.name(), store, report=seen.append)
        assert server.asked("GET", "/blobs/") == []
    lines = [item for item in seen if item.digest is not None]
    assert [(line.total, line.completed) for line in lines] == [
        (item.size, item.size) for item in (*manifest.layers, *manifest.descriptors()[:1])
    ]


def test_a_blob_of_the_wrong_size_is_fetched_again(
    registry: DockerRegistry, pushed: Manifest, store: Store
) -> None:
    pull(registry.name(), store)
    for descriptor in pushed.descriptors():
        store.blob_path(descriptor.digest).write_bytes(b"")
    pull(registry.name(), store)
    assert store.check(registry.name()) == []


def test_layers_that_only_the_former_model_used_are_removed(
    registry: DockerRegistry, pushed: Manifest, origin: Store, store: Store
) -> None:
    pull(registry.name(), store)
    newer = add_model(origin, registry.name(), pattern(2 * MIB, seed=2))
    push(registry.name(), origin)
    seen: list[Progress] = []
    pull(registry.name(), store, report=seen.append)
    assert "removing unused layers" in [item.status for item in seen]
    assert not store.has_blob(pushed.layers[0].digest)
    assert store.has_blob(newer.layers[0].digest)
    assert store.check(registry.name()) == []


def test_former_layers_stay_with_noprune(
    registry: DockerRegistry,
    pushed: Manifest,
    origin: Store,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OLLAMA_NOPRUNE", "1")
    pull(registry.name(), store)
    add_model(origin, registry.name(), b"newer")
    push(registry.name(), origin)
    pull(registry.name(), store)
    assert store.has_blob(pushed.layers[0].digest)


def test_many_blobs_are_pulled_at_once(
    registry: DockerRegistry, origin: Store, store: Store
) -> None:
    add_model(origin, registry.name(), pattern(3 * MIB), licences=100)
    push(registry.name(), origin)
    assert len(pull(registry.name(), store).layers) == 102
    assert store.check(registry.name()) == []


def test_an_unknown_model_or_tag_is_not_found(registry: DockerRegistry, store: Store) -> None:
    for name in ("lab/none", "lab/m:none"):
        with pytest.raises(NotFound) as caught:
            pull(registry.name(name), store)
        assert caught.value.message == "pull model manifest: file does not exist"
    assert not store.root.exists()


def test_an_unreachable_registry_is_reported_quickly(store: Store) -> None:
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"cannot reach 127\.0\.0\.1:\d+: connection refused"):
        pull(ModelName.parse(f"127.0.0.1:{free_port()}/lab/m"), store)
    assert time.monotonic() - began < 5


def test_a_locked_registry_wants_the_right_password(
    locked_registry: DockerRegistry, origin: Store, store: Store
) -> None:
    name = locked_registry.name()
    add_model(origin, name, pattern(3 * MIB), licences=8)
    store_credentials(locked_registry.host, "alice", "wrong")
    for attempt in (lambda: push(name, origin), lambda: pull(name, store)):
        with pytest.raises(AuthError, match="refused the password of alice"):
            attempt()
    store_credentials(locked_registry.host, "alice", "s3cret")
    push(name, origin)
    pull(name, store)
    assert store.check(name) == []


@pytest.mark.parametrize("layer", [0, 1])
def test_a_tampered_blob_is_refused_and_removed(
    registry: DockerRegistry, pushed: Manifest, store: Store, layer: int
) -> None:
    file = registry.blob_file(pushed.layers[layer].digest)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(DigestMismatch):
        pull(registry.name(), store)
    assert store.names() == []
    left = [path.name for path in store.blobs.glob(f"{pushed.layers[layer].digest.filename}*")]
    assert left == []


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("change", [-1, -3, 1])
def test_a_blob_of_another_length_is_refused(
    registry: DockerRegistry, pushed: Manifest, store: Store, layer: int, change: int
) -> None:
    file = registry.blob_file(pushed.layers[layer].digest)
    size = pushed.layers[layer].size
    file.write_bytes((file.read_bytes() + b"x")[: size + change])
    with pytest.raises((RegistryError, DigestMismatch)):
        pull(registry.name(), store)
    assert store.names() == []
    assert not store.has_blob(pushed.layers[layer].digest)


def test_a_truncated_blob_names_both_sizes(
    registry: DockerRegistry, pushed: Manifest, store: Store
) -> None:
    registry.blob_file(pushed.layers[0].digest).write_bytes(WEIGHTS[: 20 * MIB])
    with pytest.raises(
        RegistryError, match=f"has {20 * MIB} bytes .*, the manifest says {40 * MIB}"
    ):
        pull(registry.name(), store)


def test_a_missing_blob_is_an_error(
    registry: DockerRegistry, pushed: Manifest, store: Store
) -> None:
    registry.blob_file(pushed.layers[0].digest).unlink()
    with pytest.raises(RegistryError, match="404"):
        pull(registry.name(), store)
    assert store.names() == []


def manifest_server(raw: bytes) -> WebServer:
    return WebServer(lambda _request: Reply(body=raw))


INDEX = (
    b'{"schemaVersion":2,"mediaType":"%s","manifests":[{"mediaType":"x","digest":"%s","size":1}]}'
)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"schemaVersion":1}',
        b'{"schemaVersion":2,"layers":[]}',
        b'{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:../..","size":1}}',
        b'{"schemaVersion":2,"config":{"mediaType":"x","digest":"","size":1}}',
        INDEX % (MediaType.OCI_INDEX.encode(), b"sha256:" + b"0" * 64),
    ],
)
def test_a_manifest_that_is_no_models_is_refused(store: Store, raw: bytes) -> None:
    with manifest_server(raw) as server, pytest.raises(ManifestError):
        pull(server.name(), store)
    assert not store.root.exists()


def test_a_manifest_that_is_too_large_is_refused(store: Store) -> None:
    with manifest_server(b" " * (5 * MIB)) as server, pytest.raises(RegistryError, match="longer"):
        pull(server.name(), store)


def test_one_blob_of_two_sizes_is_refused(store: Store) -> None:
    blob = '{"mediaType":"x","digest":"sha256:%s","size":%d}'
    raw = '{"schemaVersion":2,"config":%s,"layers":[%s]}'
    raw %= (blob % ("0" * 64, 1), blob % ("0" * 64, 2))
    with manifest_server(raw.encode()) as server, pytest.raises(ManifestError, match="two sizes"):
        pull(server.name(), store)


def test_a_model_larger_than_the_disk_is_refused_before_anything_is_fetched(store: Store) -> None:
    blob = '{"mediaType":"x","digest":"sha256:%s","size":%d}'
    raw = '{"schemaVersion":2,"config":%s,"layers":[]}' % (blob % ("0" * 64, 1 << 60))
    with manifest_server(raw.encode()) as server:
        with pytest.raises(StoreError, match="not enough space in") as caught:
            pull(server.name(), store)
        assert server.asked("GET", "/blobs/") == []
    assert "MODELKIT_MODELS" in (caught.value.hint or "")


def test_the_policy_is_asked_before_any_blob_is_fetched(origin: Store, store: Store) -> None:
    name = ModelName.parse("lab/m:v1")
    add_model(origin, name, b"weights")
    policy = Path.home() / "policy.json"
    policy.parent.mkdir(parents=True)
    policy.write_text('{"default":[{"type":"reject"}]}')
    with WebServer(serve_model(origin, name)) as server:
        with pytest.raises(Refused):
            pull(server.name(), store, policy=Policy.load(policy))
        assert server.asked("GET", "/blobs/") == []
    assert store.names() == []


def test_the_policy_in_force_counts_when_none_is_given(
    origin: Store, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = ModelName.parse("lab/m:v1")
    add_model(origin, name, b"weights")
    policy = tmp_path / "policy.json"
    policy.write_text('{"default":[{"type":"reject"}]}')
    monkeypatch.setenv("MODELKIT_POLICY", str(policy))
    with WebServer(serve_model(origin, name)) as server, pytest.raises(Refused):
        pull(server.name(), store)


def test_a_server_without_ranges_is_read_in_one_stream(origin: Store, store: Store) -> None:
    name = ModelName.parse("lab/m:v1")
    manifest = add_model(origin, name, WEIGHTS)
    with WebServer(serve_model(origin, name, ranges=False)) as server:
        pull(server.name(), store)
        blob = str(manifest.layers[0].digest)
        assert len(server.asked("GET", blob)) == 1
        assert store.check(server.name()) == []


def test_a_server_without_ranges_that_breaks_off_is_asked_again(
    origin: Store, store: Store
) -> None:
    name = ModelName.parse("lab/m:v1")
    manifest = add_model(origin, name, WEIGHTS)
    whole = serve_model(origin, name, ranges=False)
    cuts = iter([25 * MIB, 38 * MIB])

    def respond(request: Request) -> Reply:
        reply = whole(request)
        if str(manifest.layers[0].digest) in request.path:
            reply.cut = next(cuts, None)
        return reply

    with WebServer(respond) as server:
        pull(server.name(), store)
        assert len(server.asked("GET", str(manifest.layers[0].digest))) == 3
        assert store.check(server.name()) == []


def test_a_flaky_server_is_asked_only_for_the_rest(origin: Store, store: Store) -> None:
    name = ModelName.parse("lab/m:v1")
    manifest = add_model(origin, name, WEIGHTS)
    steady = serve_model(origin, name)
    count = iter(range(1000))

    def respond(request: Request) -> Reply:
        reply = steady(request)
        if str(manifest.layers[0].digest) in request.path:
            turn = next(count)
            if turn % 3 == 1:
                return Reply(503)
            reply.cut = 5 * MIB if turn % 3 == 0 else None
        return reply

    with WebServer(respond) as server:
        pull(server.name(), store)
        asked = server.asked("GET", str(manifest.layers[0].digest))
        assert asked_bytes(asked) < 40 * MIB + len(asked) * 16 * MIB
        assert store.check(server.name()) == []


def asked_bytes(requests: list[Request]) -> int:
    """How many bytes the Range headers ask for."""
    total = 0
    for request in requests:
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["range"])
        assert match is not None
        total += int(match[2]) - int(match[1]) + 1
    return total


def test_a_server_that_always_breaks_off_is_given_up(
    origin: Store, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelkit.registry.transfer.download._PAUSES", (0.01, 0.01))
    name = ModelName.parse("lab/m:v1")
    manifest = add_model(origin, name, WEIGHTS)
    steady = serve_model(origin, name)

    def respond(request: Request) -> Reply:
        reply = steady(request)
        if str(manifest.layers[0].digest) in request.path:
            reply.cut = 0
        return reply

    with WebServer(respond) as server, pytest.raises(Unreachable, match="max retries exceeded"):
        pull(server.name(), store)
    assert store.names() == []


def test_a_limit_per_connection_is_met_with_more_connections(origin: Store, store: Store) -> None:
    name = ModelName.parse("lab/m:v1")
    add_model(origin, name, pattern(64 * MIB))
    steady = serve_model(origin, name)

    def respond(request: Request) -> Reply:
        reply = steady(request)
        reply.rate = 8 * MIB
        return reply

    began = time.monotonic()
    with WebServer(respond) as server:
        pull(server.name(), store)
    assert time.monotonic() - began < 7  # one connection needs 8 seconds
    assert store.check(ModelName.parse(f"{server.host}/lab/m:v1")) == []


def test_redirected_blobs_get_no_credentials(origin: Store, store: Store) -> None:
    name = ModelName.parse("lab/m:v1")
    add_model(origin, name, WEIGHTS)
    steady = serve_model(origin, name)
    with WebServer(steady) as mirror:

        def respond(request: Request) -> Reply:
            if request.headers.get("authorization") != "Basic YWxpY2U6czNjcmV0":
                return Reply(401, headers={"WWW-Authenticate": 'Basic realm="lab"'})
            if "/blobs/" in request.path:
                return Reply(307, headers={"Location": mirror.url + request.path})
            return steady(request)

        with WebServer(respond) as server:
            store_credentials(server.host, "alice", "s3cret")
            pull(server.name(), store)
            assert store.check(server.name()) == []
    assert mirror.requests
    assert all("authorization" not in request.headers for request in mirror.requests)


def test_an_exception_from_report_stops_the_pull_and_keeps_what_came(
    origin: Store, store: Store
) -> None:
    name = ModelName.parse("lab/m:v1")
    manifest = add_model(origin, name, WEIGHTS)
    steady = serve_model(origin, name)

    def slow(request: Request) -> Reply:
        reply = steady(request)
        reply.rate = 20 * MIB
        return reply

    def stop(progress: Progress) -> None:
        if progress.completed > 8 * MIB:
            raise Cancelled

    with WebServer(slow) as server:
        began = time.monotonic()
        with pytest.raises(Cancelled):
            pull(server.name(), store, report=stop)
        assert time.monotonic() - began < 4
        assert store.names() == []
        server.requests.clear()
        pull(server.name(), store)
        assert asked_bytes(server.asked("GET", str(manifest.layers[0].digest))) <= 32 * MIB
        assert store.check(server.name()) == []


def test_ollamas_own_unfinished_download_is_continued(origin: Store, store: Store) -> None:
    name = ModelName.parse("lab/m:v1")
    manifest = add_model(origin, name, WEIGHTS)
    blob = manifest.layers[0]
    partial = store.partial_path(blob.digest)
    partial.parent.mkdir(parents=True)
    half = 20 * MIB
    there = bytearray(len(WEIGHTS))
    there[: 12 * MIB], there[half : half + 7] = WEIGHTS[: 12 * MIB], WEIGHTS[half : half + 7]
    partial.write_bytes(there)
    for number, offset, completed in ((0, 0, 12 * MIB), (1, half, 7)):
        record = f'{{"N":{number},"Offset":{offset},"Size":{half},"Completed":{completed}}}\n'
        partial.with_name(f"{partial.name}-{number}").write_text(record)
    with WebServer(serve_model(origin, name)) as server:
        pull(server.name(), store)
        asked = server.asked("GET", str(blob.digest))
        assert asked_bytes(asked) == 28 * MIB - 7
        assert store.check(server.name()) == []
    assert leftovers(store) == []


def test_an_unfinished_download_with_wrong_bytes_is_started_again(
    origin: Store, store: Store
) -> None:
    name = ModelName.parse("lab/m:v1")
    blob = add_model(origin, name, WEIGHTS).layers[0]
    partial = store.partial_path(blob.digest)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(bytes(len(WEIGHTS)))
    record = f'{{"N":0,"Offset":0,"Size":{len(WEIGHTS)},"Completed":{30 * MIB}}}'
    partial.with_name(f"{partial.name}-0").write_text(record)
    with WebServer(serve_model(origin, name)) as server:
        pull(server.name(), store)
        assert store.check(server.name()) == []


def test_threads_that_pull_the_same_model_share_the_download(origin: Store, store: Store) -> None:
    name = ModelName.parse("lab/m:v1")
    blob = add_model(origin, name, WEIGHTS).layers[0]
    errors: list[Exception] = []

    def one() -> None:
        try:
            pull(server.name(), store)
        except Exception as error:
            errors.append(error)

    with WebServer(serve_model(origin, name)) as server:
        threads = [threading.Thread(target=one) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert asked_bytes(server.asked("GET", str(blob.digest))) == len(WEIGHTS)
        assert store.check(server.name()) == []


ON_A_FULL_DISK = """
import sys
from pathlib import Path
from modelkit.errors import StoreError
from modelkit.manifest import Manifest
from modelkit.names import ModelName
from modelkit.registry.client import RegistryClient
from modelkit.registry.transfer import pull
from modelkit.registry.transfer.download import BlobDownload
from modelkit.store import Store

name, store = ModelName.parse(sys.argv[1]), Store(Path(sys.argv[2]) / "models")
with RegistryClient(name.host) as client:
    manifest = Manifest.parse(client.manifest(name.repository, name.tag)[0])
    download = BlobDownload(client, name.repository, manifest.layers[0], store)
    for attempt in (download.run, lambda: pull(name, store)):
        try:
            attempt()
        except StoreError as error:
            print(error.message, "|", error.hint)
print(store.names(), [path.name for path in store.blobs.glob("sha256-*") if len(path.name) == 71])
"""


def test_a_full_disk_is_one_line_and_lists_nothing(
    registry: DockerRegistry, pushed: Manifest, tmp_path: Path
) -> None:
    assert pushed.size > 16 * 1024 * 1024
    mount = f'mount -t tmpfs -o size=16m none {tmp_path} && exec "$@"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, "sh", sys.executable, "-c", ON_A_FULL_DISK,
         registry.name().full, str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    while_writing, beforehand, left = done.stdout.splitlines()
    assert "No space left on device" in while_writing
    assert "MODELKIT_MODELS" in while_writing
    assert "not enough space" in beforehand
    assert left == "[] []"


def test_a_store_that_cannot_be_written_is_one_line(
    registry: DockerRegistry, pushed: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError):
        pull(registry.name(), Store(tmp_path / "file" / "models"))
