"""Pushing models: what is sent, what is not sent twice, and what happens when a server fails."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from modelkit.digest import Digest
from modelkit.errors import Cancelled, ModelNotFound, RegistryError
from modelkit.manifest import Descriptor, Manifest
from modelkit.names import ModelName
from modelkit.progress import Progress
from modelkit.registry.client import RegistryClient
from modelkit.registry.transfer import pull, push, upload
from modelkit.registry.transfer.upload import BlobUpload
from modelkit.registry.trust import keys, signing
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
)

DATA = pattern(10 * MIB)


def upload_of(
    client: RegistryClient, data: bytes = DATA, chunk_size: int = upload.CHUNK_SIZE
) -> BlobUpload:
    descriptor = Descriptor("x", Digest.of(data), len(data))
    return BlobUpload(client, "lab/m", descriptor, lambda: io.BytesIO(data), chunk_size=chunk_size)


@dataclass
class UploadServer:
    """A registry's upload sessions, with a fault to inject; `sessions` holds what arrived."""

    fault: Callable[[Request, "UploadServer"], Reply | None] = lambda _request, _server: None
    report_range: bool = True
    sessions: dict[str, bytearray] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def respond(self, request: Request) -> Reply:
        reply = self.fault(request, self)
        return self.answer(request) if reply is None else reply

    def answer(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        if "/uploads/" not in parts.path:
            found = self.blobs.get(parts.path.rsplit("/", 1)[-1])
            return Reply(404) if found is None else Reply(body=found)
        if request.method == "POST":
            session = str(len(self.sessions))
            self.sessions[session] = bytearray()
            return Reply(202, headers={"Location": f"/v2/lab/m/blobs/uploads/{session}?state=0"})
        session = parts.path.rsplit("/", 1)[-1]
        if session not in self.sessions:
            return Reply(404)
        return self._continue(request, session, parse_qs(parts.query))

    def _continue(self, request: Request, session: str, query: dict[str, list[str]]) -> Reply:
        held = self.sessions[session]
        held += request.body
        if request.method == "PUT":
            digest = query["digest"][0]
            if str(Digest.of(bytes(held))) != digest:
                return Reply(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}')
            self.blobs[digest] = bytes(held)
            return Reply(201)
        headers = {"Location": f"/v2/lab/m/blobs/uploads/{session}?state={len(held)}"}
        if self.report_range:
            headers["Range"] = f"0-{len(held) - 1}"
        return Reply(204 if request.method == "GET" else 202, headers=headers)


def test_a_model_is_pushed_once(registry: DockerRegistry, store: Store) -> None:
    manifest = add_model(store, registry.name(), DATA)
    seen: list[Progress] = []
    assert push(registry.name(), store, report=seen.append) == manifest.digest
    statuses = list(dict.fromkeys(progress.status for progress in seen))
    blobs = (*manifest.layers, *manifest.descriptors()[:1])
    assert statuses == [
        "retrieving manifest",
        *(f"pushing {blob.digest.short}" for blob in blobs),
        "pushing manifest",
        "success",
    ]
    for blob in blobs:
        assert registry.blob_file(blob.digest).read_bytes() == store.read_blob(blob.digest)
        assert [item.completed for item in seen if item.digest == blob.digest][-1] == blob.size


def test_blobs_that_are_there_are_not_sent_again() -> None:
    server = UploadServer()
    with WebServer(server.respond) as web, RegistryClient(web.host) as client:
        upload_of(client).run()
        web.requests.clear()
        again = upload_of(client)
        again.run()
        assert [request.method for request in web.requests] == ["HEAD"]
        assert again.completed == len(DATA)


@pytest.mark.parametrize("chunk_size", [MIB, 3 * MIB, 10 * MIB, 64 * MIB])
def test_chunks_arrive_in_order(registry: DockerRegistry, chunk_size: int) -> None:
    with RegistryClient(registry.host) as client:
        upload_of(client, chunk_size=chunk_size).run()
        assert client.blob_size("lab/m", Digest.of(DATA)) == len(DATA)
    assert registry.blob_file(Digest.of(DATA)).read_bytes() == DATA


def test_an_empty_blob_is_pushed(registry: DockerRegistry) -> None:
    with RegistryClient(registry.host) as client:
        upload_of(client, b"").run()
        assert client.blob_size("lab/m", Digest.of(b"")) == 0


def test_a_damaged_copy_that_the_registry_keeps_is_reported(
    registry: DockerRegistry, store: Store
) -> None:
    manifest = add_model(store, registry.name(), DATA)
    push(registry.name(), store)
    registry.blob_file(manifest.layers[0].digest).write_bytes(DATA[:-5])
    with pytest.raises(RegistryError, match=f"keeps a damaged copy .* {len(DATA) - 5} bytes"):
        push(registry.name(), store)


def test_a_damaged_copy_is_replaced_where_the_registry_lets_us() -> None:
    server = UploadServer(blobs={str(Digest.of(DATA)): DATA[:-5]})
    with WebServer(server.respond) as web, RegistryClient(web.host) as client:
        upload_of(client).run()
    assert server.blobs == {str(Digest.of(DATA)): DATA}


def test_a_layer_of_another_repository_is_mounted(registry: DockerRegistry, store: Store) -> None:
    base, name = registry.name("lab/base:v1"), registry.name("lab/m:v1")
    manifest = add_model(store, base, DATA)
    push(base, store)
    layer = replace(manifest.layers[0], from_=str(base))
    assert manifest.config is not None
    store.write_manifest(name, Manifest.new(manifest.config, [layer]))
    push(name, store)
    with RegistryClient(registry.host) as client:
        assert client.blob_size("lab/m", layer.digest) == len(DATA)


@pytest.mark.parametrize(
    ("source", "mounted"),
    [
        ("{host}/lab/base:v1", ["lab/base"]),
        ("{host}/lab/m:other", []),
        ("other.example/lab/base", []),
        ("/home/x/model.gguf", []),
        ("", []),
    ],
)
def test_mounts_are_asked_only_of_other_repositories_of_the_registry(
    store: Store, source: str, mounted: list[str]
) -> None:
    asked: list[str] = []

    def fault(request: Request, _server: UploadServer) -> Reply | None:
        asked.extend(parse_qs(urlsplit(request.path).query).get("from", []))
        return (
            Reply(201) if (request.method, "/manifests/" in request.path) == ("PUT", True) else None
        )

    with WebServer(UploadServer(fault).respond) as web:
        manifest = add_model(store, web.name(), b"weights")
        layer = replace(manifest.layers[0], from_=source.format(host=web.host))
        assert manifest.config is not None
        store.write_manifest(web.name(), Manifest.new(manifest.config, [layer]))
        push(web.name(), store)
    assert asked == mounted


def once(
    matches: Callable[[Request], bool], reply: Callable[[Request, UploadServer], Reply]
) -> Callable[[Request, UploadServer], Reply | None]:
    """A fault for the second request that matches."""
    count = iter(range(1000))

    def fault(request: Request, server: UploadServer) -> Reply | None:
        return reply(request, server) if matches(request) and next(count) == 1 else None

    return fault


def is_patch(request: Request) -> bool:
    return request.method == "PATCH"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between tries."""
    monkeypatch.setattr(upload, "_PAUSES", (0.01, 0.01, 0.01))


@pytest.mark.usefixtures("impatient")
def test_an_interrupted_chunk_is_continued_where_it_broke_off() -> None:
    def keep_half(request: Request, server: UploadServer) -> Reply:
        server.sessions["0"] += request.body[: MIB // 2]
        return Reply(503)

    server = UploadServer(once(is_patch, keep_half))
    with WebServer(server.respond) as web, RegistryClient(web.host) as client:
        upload_of(client, chunk_size=2 * MIB).run()
        ranges = [item.headers["content-range"] for item in web.asked("PATCH", "")]
    assert server.blobs == {str(Digest.of(DATA)): DATA}
    assert ranges[2].startswith(f"{2 * MIB + MIB // 2}-")
    assert len(server.sessions) == 1


@pytest.mark.usefixtures("impatient")
def test_a_lost_session_is_started_again() -> None:
    def forget(_request: Request, server: UploadServer) -> Reply:
        server.sessions["0"].clear()
        return Reply(502)

    def fault(request: Request, server: UploadServer) -> Reply | None:
        status = request.method == "GET" and "/uploads/" in request.path
        return Reply(404) if status else patch_fault(request, server)

    patch_fault = once(is_patch, forget)
    server = UploadServer(fault)
    with WebServer(server.respond) as web, RegistryClient(web.host) as client:
        upload_of(client, chunk_size=2 * MIB).run()
    assert server.blobs == {str(Digest.of(DATA)): DATA}
    assert len(server.sessions) == 2


def test_a_chunk_that_was_taken_in_part_is_completed() -> None:
    def take_half(request: Request, server: UploadServer) -> Reply:
        return server.answer(replace(request, body=request.body[: MIB // 2]))

    server = UploadServer(once(is_patch, take_half))
    with WebServer(server.respond) as web, RegistryClient(web.host) as client:
        upload_of(client, chunk_size=2 * MIB).run()
    assert server.blobs == {str(Digest.of(DATA)): DATA}


def test_a_server_that_reports_no_range_is_believed() -> None:
    server = UploadServer(report_range=False)
    with WebServer(server.respond) as web, RegistryClient(web.host) as client:
        upload_of(client, chunk_size=4 * MIB).run()
    assert server.blobs == {str(Digest.of(DATA)): DATA}


@pytest.mark.usefixtures("impatient")
def test_a_server_that_keeps_failing_is_given_up() -> None:
    def fault(request: Request, _server: UploadServer) -> Reply | None:
        return Reply(500, b"disk on fire") if is_patch(request) else None

    with (
        WebServer(UploadServer(fault).respond) as web,
        RegistryClient(web.host) as client,
        pytest.raises(RegistryError, match="500: disk on fire"),
    ):
        upload_of(client).run()


def test_a_refused_upload_is_not_tried_again() -> None:
    def fault(request: Request, _server: UploadServer) -> Reply | None:
        return Reply(403) if is_patch(request) else None

    with WebServer(UploadServer(fault).respond) as web, RegistryClient(web.host) as client:
        with pytest.raises(RegistryError, match=r"push blob .*: 403"):
            upload_of(client).run()
        assert len(web.asked("PATCH", "")) == 1


def test_a_damaged_local_blob_is_found_by_the_registry(
    registry: DockerRegistry, store: Store
) -> None:
    manifest = add_model(store, registry.name(), DATA)
    store.blob_path(manifest.layers[0].digest).write_bytes(bytes(len(DATA)))
    with pytest.raises(RegistryError, match="DIGEST_INVALID") as caught:
        push(registry.name(), store)
    assert "verify-store" in (caught.value.hint or "")


def test_a_model_that_is_not_there_cannot_be_pushed(store: Store) -> None:
    seen: list[str] = []
    name = ModelName.parse(f"127.0.0.1:{free_port()}/lab/m:v1")
    with pytest.raises(ModelNotFound):
        push(name, store, report=lambda progress: seen.append(progress.status))
    assert seen == ["retrieving manifest", "couldn't retrieve manifest"]


def test_an_exception_from_report_stops_the_push(registry: DockerRegistry, store: Store) -> None:
    add_model(store, registry.name(), DATA)

    def stop(progress: Progress) -> None:
        if progress.digest is not None:
            raise Cancelled

    with pytest.raises(Cancelled):
        push(registry.name(), store, report=stop)
    with RegistryClient(registry.host) as client:
        assert client.request("GET", "/v2/lab/m/tags/list", action="", ok=(404,)).status == 404


def test_signatures_travel_with_the_model(
    registry: DockerRegistry, store: Store, tmp_path: Path
) -> None:
    name = registry.name()
    add_model(store, name, DATA)
    public = keys.generate(tmp_path / "key")
    signing.sign(name, store, keys.load_private(tmp_path / "key"))
    push(name, store)

    policy = tmp_path / "policy.json"
    policy.write_text(
        '{"default":[{"type":"sigstoreSigned","keyPath":"%s"}]}' % (tmp_path / "key.pub")
    )
    other = Store(tmp_path / "other")
    manifest = pull(name, other, policy=Policy.load(policy))
    source = signing.StoreSignatures(other, name)
    found = signing.verify(name, manifest.raw, source, [public])
    assert {signature.format for signature in found.signatures} == {
        signature.format
        for signature in signing.verify(
            name, manifest.raw, signing.StoreSignatures(store, name), [public]
        ).signatures
    }
    assert len(found.signatures) == 2
