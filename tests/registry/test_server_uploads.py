"""Uploads to the embedded registry: whole, in parts, resumed, damaged, abandoned."""

import http.client
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelkit.asgi.body import HIGH_WATER
from modelkit.digest import Digest
from modelkit.errors import DigestMismatch
from modelkit.registry.server.answers import OCIError
from modelkit.registry.server.uploads import MAX_AGE, Upload, Uploads
from modelkit.store import Store
from tests.registry.embedded import Registry, error_code, running_registry

DATA = os.urandom(300_000)
DIGEST = Digest.of(DATA)


@pytest.fixture
def registry(store: Store) -> Iterator[Registry]:
    with running_registry(store) as running:
        yield running


def start(registry: Registry) -> str:
    answer = registry.call("POST", "lab/model/blobs/uploads/")
    assert (answer.status, answer.headers["Range"]) == (202, "0-0")
    location = answer.headers["Location"]
    assert (
        location
        == f"{registry.url}/v2/lab/model/blobs/uploads/{answer.headers['Docker-Upload-UUID']}"
    )
    return location


def patch(registry: Registry, location: str, first: int, last: int) -> tuple[int, str]:
    """Send bytes first..last of DATA with their Content-Range."""
    answer = registry.call(
        "PATCH", location, DATA[first : last + 1], Content_Range=f"{first}-{last}"
    )
    return answer.status, answer.headers["Range"]


def finish(registry: Registry, location: str, digest: Digest = DIGEST, body: bytes = b"") -> int:
    return registry.call("PUT", f"{location}?digest={digest}", body).status


def leftovers(store: Store) -> list[str]:
    return sorted(path.name for path in (store.root / "uploads").iterdir())


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_blob_in_one_request(registry: Registry, store: Store, slash: str) -> None:
    answer = registry.call("POST", f"lab/model/blobs/uploads{slash}?digest={DIGEST}", DATA)
    assert answer.status == 201
    assert answer.headers["Docker-Content-Digest"] == str(DIGEST)
    assert answer.headers["Location"] == f"{registry.url}/v2/lab/model/blobs/{DIGEST}"
    assert store.read_blob(DIGEST) == DATA
    assert store.blob_path(DIGEST).stat().st_mode & 0o777 == 0o644
    assert leftovers(store) == []


def test_a_session_and_one_put(registry: Registry, store: Store) -> None:
    location = start(registry)
    assert finish(registry, location, body=DATA) == 201
    assert store.hash_blob(DIGEST) == DIGEST
    assert registry.call("GET", location).status == 404


def test_a_body_of_unknown_length(registry: Registry, store: Store) -> None:
    location = start(registry)
    pieces = (DATA[at : at + 1000] for at in range(0, len(DATA), 1000))
    assert registry.call("PATCH", location, pieces).status == 202
    assert finish(registry, location) == 201
    assert store.hash_blob(DIGEST) == DIGEST


def test_a_blob_in_parts(registry: Registry, store: Store) -> None:
    location = start(registry)
    assert patch(registry, location, 0, 99_999) == (202, "0-99999")
    assert patch(registry, location, 100_000, 199_999) == (202, "0-199999")
    answer = registry.call(
        "PUT", f"{location}?digest={DIGEST}", DATA[200_000:], Content_Range="200000-299999"
    )
    assert answer.status == 201
    assert store.hash_blob(DIGEST) == DIGEST


@pytest.mark.parametrize("first", [0, 50_000, 99_999, 100_001, 200_000])
def test_a_part_out_of_order_is_416_and_changes_nothing(
    registry: Registry, store: Store, first: int
) -> None:
    location = start(registry)
    patch(registry, location, 0, 99_999)
    answer = registry.call(
        "PATCH", location, DATA[first : first + 10], Content_Range=f"{first}-{first + 9}"
    )
    assert (answer.status, error_code(answer)) == (416, "BLOB_UPLOAD_INVALID")
    assert answer.headers["Range"] == "0-99999"
    status = registry.call("GET", location)
    assert (status.status, status.headers["Range"]) == (204, "0-99999")
    assert patch(registry, location, 100_000, 299_999) == (202, "0-299999")
    assert finish(registry, location) == 201


def test_an_out_of_order_final_part_is_416(registry: Registry) -> None:
    location = start(registry)
    answer = registry.call(
        "PUT", f"{location}?digest={DIGEST}", DATA[10:], Content_Range=f"10-{len(DATA) - 1}"
    )
    assert answer.status == 416


@pytest.mark.parametrize(
    ("header", "code"),
    [("0-4", "SIZE_INVALID"), ("x", "BLOB_UPLOAD_INVALID"), ("0-", "BLOB_UPLOAD_INVALID")],
)
def test_a_content_range_that_is_wrong(registry: Registry, header: str, code: str) -> None:
    answer = registry.call("PATCH", start(registry), b"0123456789", Content_Range=header)
    assert (answer.status, error_code(answer)) == (400, code)


def test_a_content_range_in_its_http_spelling(registry: Registry) -> None:
    location = start(registry)
    answer = registry.call("PATCH", location, b"0123456789", Content_Range="bytes 0-9/*")
    assert (answer.status, answer.headers["Range"]) == (202, "0-9")


def test_a_wrong_digest_is_refused_and_the_bytes_go(registry: Registry, store: Store) -> None:
    location = start(registry)
    answer = registry.call("PUT", f"{location}?digest={Digest.of(b'x')}", DATA)
    assert (answer.status, error_code(answer)) == (400, "DIGEST_INVALID")
    assert registry.call("GET", location).status == 404
    assert leftovers(store) == []
    assert not store.has_blob(Digest.of(b"x"))
    assert not store.has_blob(DIGEST)


@pytest.mark.parametrize("query", ["", "?digest=", "?digest=sha256:00", "?digest=sha512:00"])
def test_finishing_without_a_digest_is_refused(registry: Registry, query: str) -> None:
    location = start(registry)
    answer = registry.call("PUT", f"{location}{query}", DATA)
    assert (answer.status, error_code(answer)) == (400, "DIGEST_INVALID")
    assert finish(registry, location, body=DATA) == 201


def test_a_cancelled_session_is_gone(registry: Registry, store: Store) -> None:
    location = start(registry)
    assert registry.call("DELETE", location).status == 204
    for method in ("GET", "DELETE"):
        assert error_code(registry.call("DELETE", location)) == "BLOB_UPLOAD_UNKNOWN", method
    assert leftovers(store) == []


@pytest.mark.parametrize("identifier", ["0" * 32, "x", "..", "..%2f..%2fx", "0" * 31 + "%0a"])
def test_an_unknown_session_is_404(registry: Registry, identifier: str) -> None:
    connection = http.client.HTTPConnection(registry.host, timeout=20)
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        path = f"/v2/lab/model/blobs/uploads/{identifier}?digest={DIGEST}"
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (404, 405), method
    connection.close()


def test_mounting_needs_no_bytes(registry: Registry) -> None:
    registry.push_blob("lab/model", DATA)
    answer = registry.call("POST", f"lab/other/blobs/uploads/?mount={DIGEST}&from=lab/model")
    assert answer.status == 201
    assert answer.headers["Location"].endswith(f"/v2/lab/other/blobs/{DIGEST}")
    assert registry.call("GET", f"lab/other/blobs/{DIGEST}").data == DATA


@pytest.mark.parametrize("mount", [str(Digest.of(b"missing")), "sha512:00", "../x"])
def test_a_mount_that_is_impossible_becomes_an_upload(registry: Registry, mount: str) -> None:
    answer = registry.call("POST", f"lab/other/blobs/uploads/?mount={mount}&from=lab/model")
    assert answer.status == 202
    assert answer.headers["Docker-Upload-UUID"]


def test_a_broken_connection_leaves_what_arrived_to_be_continued(
    registry: Registry, store: Store
) -> None:
    location = start(registry)
    path = location.removeprefix(registry.url)
    host, port = registry.host.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        head = f"PATCH {path} HTTP/1.1\r\nHost: {registry.host}\r\nContent-Length: {len(DATA)}\r\n"
        client.sendall(head.encode() + b"\r\n" + DATA[:200_000])
        time.sleep(0.2)
    arrived = settled_size(registry, location)
    assert 0 <= arrived <= 200_000
    answer = registry.call(
        "PATCH", location, DATA[arrived:], Content_Range=f"{arrived}-{len(DATA) - 1}"
    )
    assert answer.status == 202
    assert finish(registry, location) == 201
    assert store.hash_blob(DIGEST) == DIGEST


def settled_size(registry: Registry, location: str) -> int:
    """Bytes in the session once the server has noticed that the client went away."""
    sizes: list[int] = []
    while len(sizes) < 3 or len(set(sizes[-3:])) > 1:
        time.sleep(0.1)
        (path,) = (registry.store.root / "uploads").iterdir()
        assert path.name in location
        sizes.append(path.stat().st_size)
    return sizes[-1]


def test_an_answer_does_not_wait_for_a_body_that_never_comes(registry: Registry) -> None:
    host, port = registry.host.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        head = "PUT /v2/lab/model/blobs/uploads/x?digest=y HTTP/1.1\r\nHost: localhost\r\n"
        client.sendall(head.encode() + b"Content-Length: 1000000\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 404")


def test_a_refused_body_is_read_so_that_the_client_sees_why(registry: Registry) -> None:
    answer = registry.call("PUT", f"lab/model/blobs/uploads/x?digest={DIGEST}", bytes(3_000_000))
    assert (answer.status, error_code(answer)) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_session_survives_a_restart_of_the_server(store: Store) -> None:
    with running_registry(store) as registry:
        location = start(registry)
        patch(registry, location, 0, 149_999)
    with running_registry(store) as registry:
        location = registry.url + location[location.index("/v2/") :]
        answer = registry.call("GET", location)
        assert (answer.status, answer.headers["Range"]) == (204, "0-149999")
        patch(registry, location, 150_000, 299_999)
        assert finish(registry, location) == 201
    assert store.hash_blob(DIGEST) == DIGEST


def test_the_same_blob_from_many_clients_at_once(registry: Registry, store: Store) -> None:
    data = os.urandom(3 * 1024 * 1024)
    digest = Digest.of(data)
    statuses: list[int] = []

    def upload() -> None:
        answer = registry.call("POST", f"lab/model/blobs/uploads/?digest={digest}", data)
        statuses.append(answer.status)

    threads = [threading.Thread(target=upload) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert statuses == [201] * 6
    assert store.hash_blob(digest) == digest
    assert leftovers(store) == []


def test_two_writers_to_one_session_cannot_mix_their_bytes(
    registry: Registry, store: Store
) -> None:
    location = start(registry)
    statuses: list[int] = []

    def write() -> None:
        statuses.append(patch(registry, location, 0, len(DATA) - 1)[0])

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) == [202, 416, 416, 416]
    assert finish(registry, location) == 201
    assert store.hash_blob(DIGEST) == DIGEST


def test_a_large_upload_does_not_pile_up_in_memory(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is far ahead of a disk that stalls: the rest waits in the socket."""
    blocks, block = 96, bytes(1024 * 1024)
    location = start(registry)
    stall = threading.Event()
    append = Upload.append

    def slow(self: Upload, position: int, data: bytes) -> int:
        stall.wait(20)
        return append(self, position, data)

    def send() -> None:
        registry.call("PATCH", location, (block for _ in range(blocks)))

    monkeypatch.setattr(Upload, "append", slow)
    resident = memory_of_this_process()
    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(0.7)
    grown = memory_of_this_process() - resident
    stall.set()
    thread.join(60)
    assert grown < 10 * HIGH_WATER
    assert registry.call("GET", location).headers["Range"] == f"0-{blocks * len(block) - 1}"


def memory_of_this_process() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_abandoned_sessions_expire(store: Store) -> None:
    uploads = Uploads(store)
    old, young = uploads.start(), uploads.start()
    old.append(0, b"data")
    now = time.time()
    os.utime(old.path, (now - MAX_AGE - 60, now - MAX_AGE - 60))
    stranger = store.root / "uploads" / "notes.txt"
    stranger.write_text("mine")
    os.utime(stranger, (0, 0))
    uploads.expire()
    assert leftovers(store) == sorted([young.identifier, "notes.txt"])
    with pytest.raises(OCIError, match="no upload"):
        uploads.get(old.identifier)


def test_bytes_that_another_process_wrote_are_hashed_too(store: Store) -> None:
    ours, theirs = Uploads(store), Uploads(store)
    upload = ours.start()
    upload.append(0, DATA[:1000])
    theirs.get(upload.identifier).append(1000, DATA[1000:])
    assert upload.size == len(DATA)
    ours.finish(upload, DIGEST)
    assert store.read_blob(DIGEST) == DATA
    with pytest.raises(OCIError, match="no upload"):
        theirs.get(upload.identifier)


def test_a_finished_blob_is_young_for_the_collector(store: Store) -> None:
    uploads = Uploads(store)
    upload = uploads.start()
    upload.append(0, DATA)
    os.utime(upload.path, (0, 0))
    uploads.finish(upload, DIGEST)
    assert store.prune() == []
    assert store.has_blob(DIGEST)


def test_a_wrong_digest_ends_the_session(store: Store) -> None:
    uploads = Uploads(store)
    upload = uploads.start()
    upload.append(0, b"data")
    with pytest.raises(DigestMismatch):
        uploads.finish(upload, DIGEST)
    assert leftovers(store) == []
