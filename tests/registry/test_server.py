"""The embedded registry's API: manifests, blobs, tags, referrers, over a real socket."""

import http.client
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelkit.digest import Digest
from modelkit.manifest import Descriptor, Manifest, MediaType
from modelkit.names import ModelName
from modelkit.registry.server.answers import OCIError
from modelkit.registry.server.blob_routes import parse_range
from modelkit.registry.trust.signing import StoreSignatures, publish_signatures, sign, verify
from modelkit.store import Store
from tests.registry.embedded import Registry, add_model, error_code, new_key, running_registry

MISSING = Digest.of(b"missing")


@pytest.fixture
def registry(store: Store) -> Iterator[Registry]:
    with running_registry(store) as running:
        yield running


def put(registry: Registry, path: str, raw: bytes, kind: str = MediaType.MANIFEST_V2) -> int:
    return registry.call("PUT", path, raw, Content_Type=kind).status


def test_the_version_check(registry: Registry) -> None:
    answer = registry.call("GET", "")
    assert answer.status == 200
    assert answer.headers["Docker-Distribution-API-Version"] == "registry/2.0"


def test_a_pushed_model_is_in_the_store_byte_for_byte(registry: Registry, store: Store) -> None:
    raw = registry.push_model("lab/model", "v1")
    name = ModelName.parse("lab/model:v1")
    assert store.names() == [name]
    assert store.manifest(name).raw == raw
    assert store.check(name) == []


def test_a_stored_model_can_be_pulled(registry: Registry, store: Store) -> None:
    manifest = add_model(store, ModelName.parse("lab/model:v1"))
    for reference in ("v1", str(manifest.digest)):
        answer = registry.call("GET", f"lab/model/manifests/{reference}")
        assert (answer.status, answer.data) == (200, manifest.raw)
        assert answer.headers["Content-Type"] == MediaType.MANIFEST_V2
        assert answer.headers["Docker-Content-Digest"] == str(manifest.digest)
        assert answer.headers["ETag"] == f'"{manifest.digest}"'
        head = registry.call("HEAD", f"lab/model/manifests/{reference}")
        assert (head.status, head.data) == (200, b"")
        assert head.headers["Content-Length"] == str(len(manifest.raw))
        assert head.headers["Docker-Content-Digest"] == str(manifest.digest)


def test_a_one_part_repository_is_in_the_library(registry: Registry, store: Store) -> None:
    registry.push_model("model", "v1")
    assert store.names() == [ModelName.parse("library/model:v1")]
    assert registry.call("GET", "library/model/manifests/v1").status == 200


def test_an_unchanged_manifest_or_blob_is_not_sent_again(registry: Registry, store: Store) -> None:
    manifest = add_model(store, ModelName.parse("lab/model:v1"))
    blob = manifest.layers[0].digest
    for path, digest in (("manifests/v1", manifest.digest), (f"blobs/{blob}", blob)):
        answer = registry.call("GET", f"lab/model/{path}", If_None_Match=f'"{digest}"')
        assert (answer.status, answer.data) == (304, b"")


@pytest.mark.parametrize("reference", ["v9", str(MISSING), "sha256-" + MISSING.hex])
def test_an_unknown_manifest_is_404(registry: Registry, reference: str) -> None:
    answer = registry.call("GET", f"lab/model/manifests/{reference}")
    assert (answer.status, error_code(answer)) == (404, "MANIFEST_UNKNOWN")
    assert registry.call("HEAD", f"lab/model/manifests/{reference}").status == 404
    assert registry.call("DELETE", f"lab/model/manifests/{reference}").status == 404


def call_verbatim(registry: Registry, method: str, path: str, body: bytes = b"") -> tuple[int, str]:
    """A request whose path no client library has tidied; status and OCI error code."""
    connection = http.client.HTTPConnection(registry.host, timeout=20)
    try:
        headers = {"Content-Type": MediaType.MANIFEST_V2}
        connection.request(method, f"/v2/{path}", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())["errors"][0]["code"]
    finally:
        connection.close()


@pytest.mark.parametrize(
    "repository",
    ["a/b/c", "../etc", "lab/..", "lab/%2e%2e", "..%2f..%2fetc", "-lab/m", "lab/m%00", "lab//m"],
)
def test_a_repository_that_is_no_model_name_is_refused(registry: Registry, repository: str) -> None:
    for method, path in (("POST", "blobs/uploads/"), ("GET", "manifests/latest")):
        answer = call_verbatim(registry, method, f"{repository}/{path}")
        assert answer == (400, "NAME_INVALID")


@pytest.mark.parametrize("tag", ["..", "%2e%2e", "a" * 81, "-x", "a%20b", "..%2f..%2fx"])
def test_a_tag_that_is_none_is_refused(registry: Registry, store: Store, tag: str) -> None:
    raw = add_model(store).raw
    status, _ = call_verbatim(registry, "PUT", f"lab/model/manifests/{tag}", raw)
    assert status in (400, 404)
    assert len(store.names()) == 1


@pytest.mark.parametrize("digest", ["sha256:00", "sha512:" + "0" * 128, "sha256:" + "g" * 64])
def test_a_digest_that_is_none_is_refused(registry: Registry, digest: str) -> None:
    for path in (f"blobs/{digest}", f"manifests/{digest}", f"referrers/{digest}"):
        answer = registry.call("GET", f"lab/model/{path}")
        assert (answer.status, error_code(answer)) == (400, "DIGEST_INVALID")


def test_a_manifest_with_a_missing_blob_is_refused(registry: Registry, store: Store) -> None:
    config = registry.push_blob("lab/model", b"{}")
    raw = Manifest.new(
        Descriptor(MediaType.CONFIG, config, 2), [Descriptor(MediaType.MODEL, MISSING, 7)]
    ).raw
    for reference in ("v1", str(Digest.of(raw))):
        answer = registry.call(
            "PUT", f"lab/model/manifests/{reference}", raw, Content_Type=MediaType.MANIFEST_V2
        )
        assert (answer.status, error_code(answer)) == (400, "MANIFEST_BLOB_UNKNOWN")
        assert str(MISSING) in answer.json()["errors"][0]["message"]
    assert store.names() == []


def test_a_manifest_with_a_wrong_size_is_refused(registry: Registry, store: Store) -> None:
    config = registry.push_blob("lab/model", b"{}")
    raw = Manifest.new(Descriptor(MediaType.CONFIG, config, 3), []).raw
    answer = registry.call("PUT", "lab/model/manifests/v1", raw, Content_Type=MediaType.MANIFEST_V2)
    assert (answer.status, error_code(answer)) == (400, "SIZE_INVALID")
    assert store.names() == []


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", MediaType.MANIFEST_V2),
        (b"[]", MediaType.MANIFEST_V2),
        (b'{"schemaVersion":1}', MediaType.MANIFEST_V2),
        (b'{"schemaVersion":2,"layers":[]}', MediaType.MANIFEST_V2),
        (b'{"schemaVersion":2,"mediaType":"text/plain","layers":[]}', "text/plain"),
        (b'{"schemaVersion":2,"layers":[{"digest":"../../x"}]}', MediaType.OCI_MANIFEST),
    ],
    ids=["empty", "list", "schema 1", "other type", "unknown type", "traversal"],
)
def test_a_malformed_manifest_is_refused(registry: Registry, raw: bytes, kind: str) -> None:
    answer = registry.call("PUT", "lab/model/manifests/v1", raw, Content_Type=kind)
    assert (answer.status, error_code(answer)) == (400, "MANIFEST_INVALID")


def test_an_oversized_manifest_is_refused(registry: Registry) -> None:
    raw = b" " * (4 * 1024 * 1024 + 1)
    answer = registry.call("PUT", "lab/m/manifests/v1", raw, Content_Type=MediaType.MANIFEST_V2)
    assert (answer.status, error_code(answer)) == (413, "MANIFEST_INVALID")


def test_a_manifest_under_another_digest_is_refused(registry: Registry, store: Store) -> None:
    raw = add_model(store).raw
    answer = registry.call(
        "PUT", f"lab/model/manifests/{MISSING}", raw, Content_Type=MediaType.MANIFEST_V2
    )
    assert (answer.status, error_code(answer)) == (400, "DIGEST_INVALID")


def test_an_index_needs_its_manifests_and_keeps_their_blobs(
    registry: Registry, store: Store
) -> None:
    """What a client pushes for several platforms: children by digest, then an index by tag."""
    config = registry.push_blob("lab/model", b"{}")
    layer = registry.push_blob("lab/model", b"layer")
    child = Manifest.new(
        Descriptor(MediaType.CONFIG, config, 2), [Descriptor(MediaType.MODEL, layer, 5)]
    )
    entry = Descriptor(MediaType.MANIFEST_V2, child.digest, len(child.raw)).to_json()
    index = json.dumps({"schemaVersion": 2, "mediaType": MediaType.OCI_INDEX, "manifests": [entry]})
    path = "lab/model/manifests/v1"
    answer = registry.call("PUT", path, index, Content_Type=MediaType.OCI_INDEX)
    assert error_code(answer) == "MANIFEST_BLOB_UNKNOWN"
    assert put(registry, f"lab/model/manifests/{child.digest}", child.raw) == 201
    assert put(registry, path, index.encode(), MediaType.OCI_INDEX) == 201
    assert store.prune(min_age=-10) == []
    assert registry.call("GET", path).data == index.encode()
    assert registry.call("GET", f"lab/model/manifests/{child.digest}").data == child.raw


def test_deleting_a_tag_leaves_the_others(registry: Registry, store: Store) -> None:
    raw = registry.push_model("lab/model", "v1")
    assert put(registry, "lab/model/manifests/v2", raw) == 201
    layer = Manifest.parse(raw).layers[0].digest
    assert registry.call("DELETE", "lab/model/manifests/v1").status == 202
    assert registry.call("GET", "lab/model/manifests/v1").status == 404
    assert registry.call("GET", "lab/model/manifests/v2").status == 200
    assert registry.call("DELETE", "lab/model/manifests/v2").status == 202
    assert store.names() == []
    assert registry.call("HEAD", f"lab/model/blobs/{layer}").status == 404


def test_deleting_a_digest_removes_all_its_tags(registry: Registry, store: Store) -> None:
    raw = registry.push_model("lab/model", "v1")
    put(registry, "lab/model/manifests/v2", raw)
    registry.push_model("lab/model", "v3", b"other")
    assert registry.call("DELETE", f"lab/model/manifests/{Digest.of(raw)}").status == 202
    assert [name.tag for name in store.names()] == ["v3"]


def test_blobs_are_not_deleted_one_by_one(registry: Registry) -> None:
    digest = registry.push_blob("lab/model", b"data")
    answer = registry.call("DELETE", f"lab/model/blobs/{digest}")
    assert (answer.status, error_code(answer)) == (405, "UNSUPPORTED")
    assert registry.call("GET", f"lab/model/blobs/{digest}").data == b"data"


def test_unknown_paths_and_verbs_are_oci_errors(registry: Registry) -> None:
    for method, path, status in (
        ("GET", f"{registry.url}/v3/", 404),
        ("GET", "lab/model/else", 404),
        ("POST", "lab/model/tags/list", 405),
    ):
        answer = registry.call(method, path)
        assert (answer.status, error_code(answer)) == (status, "UNSUPPORTED")


# Blobs


def test_head_of_a_blob_tells_its_size(registry: Registry) -> None:
    digest = registry.push_blob("lab/model", b"0123456789")
    answer = registry.call("HEAD", f"lab/model/blobs/{digest}")
    assert (answer.status, answer.data) == (200, b"")
    assert answer.headers["Content-Length"] == "10"
    assert answer.headers["Docker-Content-Digest"] == str(digest)
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_ollamas_client_learns_where_the_bytes_are(registry: Registry) -> None:
    digest = registry.push_blob("lab/model", b"data")
    location = registry.call("GET", f"lab/model/blobs/{digest}").headers["Location"]
    answer = registry.call("GET", location, Range="bytes=1-2")
    assert (answer.status, answer.data) == (206, b"at")


def test_an_unknown_blob_is_404(registry: Registry) -> None:
    answer = registry.call("GET", f"lab/model/blobs/{MISSING}")
    assert (answer.status, error_code(answer)) == (404, "BLOB_UNKNOWN")


def test_the_empty_blob_exists(registry: Registry) -> None:
    digest = registry.push_blob("lab/model", b"")
    answer = registry.call("GET", f"lab/model/blobs/{digest}")
    assert (answer.status, answer.data, answer.headers["Content-Length"]) == (200, b"", "0")


@pytest.mark.parametrize(
    ("header", "expected", "content_range"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
        ("bytes=9-9", b"9", "bytes 9-9/10"),
    ],
)
def test_single_ranges(
    registry: Registry, header: str, expected: bytes, content_range: str
) -> None:
    digest = registry.push_blob("lab/model", b"0123456789")
    answer = registry.call("GET", f"lab/model/blobs/{digest}", Range=header)
    assert (answer.status, answer.data) == (206, expected)
    assert answer.headers["Content-Range"] == content_range
    assert answer.headers["Content-Length"] == str(len(expected))


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_ranges_outside_the_blob_are_416(registry: Registry, header: str) -> None:
    digest = registry.push_blob("lab/model", b"0123456789")
    answer = registry.call("GET", f"lab/model/blobs/{digest}", Range=header)
    assert (answer.status, error_code(answer)) == (416, "RANGE_INVALID")
    assert answer.headers["Content-Range"] == "bytes */10"


@pytest.mark.parametrize("header", ["bytes=0-1,3-4", "lines=0-1", "bytes=-", "bytes=5-2", "x"])
def test_what_is_no_single_range_is_ignored(registry: Registry, header: str) -> None:
    digest = registry.push_blob("lab/model", b"0123456789")
    answer = registry.call("GET", f"lab/model/blobs/{digest}", Range=header)
    assert (answer.status, answer.data) == (200, b"0123456789")


def test_a_range_of_an_empty_blob_is_416() -> None:
    with pytest.raises(OCIError) as error:
        parse_range("bytes=0-", 0)
    assert error.value.status == 416


def test_a_large_blob_comes_back_whole_from_several_readers(registry: Registry) -> None:
    data = os.urandom(5 * 1024 * 1024 + 7)
    digest = registry.push_blob("lab/model", data)
    results: list[bytes] = []

    def read() -> None:
        results.append(registry.call("GET", f"lab/model/blobs/{digest}").data)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [data] * 4


# Tags


def tags(registry: Registry, query: str = "") -> tuple[list[str], str | None]:
    answer = registry.call("GET", f"lab/model/tags/list{query}")
    assert answer.status == 200
    body = answer.json()
    assert body["name"] == "lab/model"
    return body["tags"], answer.headers.get("Link")


def test_tags_are_listed_in_order_and_in_pages(registry: Registry) -> None:
    raw = registry.push_model("lab/model", "a")
    for tag in ("c", "b", "d", "e"):
        put(registry, f"lab/model/manifests/{tag}", raw)
    registry.push_model("lab/other", "x")
    assert tags(registry) == (["a", "b", "c", "d", "e"], None)
    page, link = tags(registry, "?n=2")
    assert (page, link) == (["a", "b"], '</v2/lab/model/tags/list?n=2&last=b>; rel="next"')
    page, link = tags(registry, "?n=2&last=b")
    assert (page, link) == (["c", "d"], '</v2/lab/model/tags/list?n=2&last=d>; rel="next"')
    assert tags(registry, "?n=2&last=d") == (["e"], None)
    assert tags(registry, "?n=0") == ([], None)
    assert tags(registry, "?last=bb") == (["c", "d", "e"], None)


def test_tags_of_an_unknown_repository_and_a_bad_count(registry: Registry) -> None:
    answer = registry.call("GET", "lab/model/tags/list")
    assert (answer.status, error_code(answer)) == (404, "NAME_UNKNOWN")
    registry.push_model("lab/model", "a")
    for count in ("-1", "x", "1e3", "²"):
        assert registry.call("GET", f"lab/model/tags/list?n={count}").status == 400


# Signatures


class Pushed:
    """The registry as a place to copy signatures to, with plain requests."""

    def __init__(self, registry: Registry, repository: str) -> None:
        self._registry = registry
        self._repository = repository

    def manifest(self, reference: str) -> bytes | None:
        answer = self._registry.call("GET", f"{self._repository}/manifests/{reference}")
        return answer.data if answer.status == 200 else None

    def blob(self, digest: Digest, limit: int) -> bytes:
        answer = self._registry.call("GET", f"{self._repository}/blobs/{digest}")
        assert answer.status == 200
        return answer.data

    def put_blob(self, data: bytes) -> None:
        self._registry.push_blob(self._repository, data)

    def put_manifest(self, reference: str, raw: bytes, media_type: str) -> None:
        path = f"{self._repository}/manifests/{reference}"
        answer = self._registry.call("PUT", path, raw, Content_Type=media_type)
        assert answer.status == 201, answer.data
        subject = Manifest.parse(raw).subject
        assert answer.headers.get("OCI-Subject") == (str(subject.digest) if subject else None)


def test_signatures_are_pushed_beside_the_model(
    registry: Registry, store: Store, tmp_path: Path
) -> None:
    local = Store(tmp_path / "local")
    name = ModelName.parse(f"{registry.host}/lab/model:v1")
    manifest = add_model(local, name)
    registry.push_model("lab/model", "v1")
    keys = [new_key(tmp_path, f"{number}.pem") for number in range(2)]
    remote = Pushed(registry, "lab/model")
    for key in keys:
        sign(name, local, key)
        assert publish_signatures(name, manifest.digest, local, remote) == 2
    found = verify(name, manifest.raw, remote, [key.public for key in keys])
    assert [item.format for item in found.signatures] == ["cosign", "cosign", "bundle", "bundle"]
    assert store.names() == [ModelName.parse("lab/model:v1")]
    assert store.prune(min_age=-10), "the copies of signature blobs in the model store go"
    assert len(verify(name, manifest.raw, remote, [keys[0].public]).signatures) == 2
    listed = tags(registry)[0]
    assert listed == [f"sha256-{manifest.digest.hex}", f"sha256-{manifest.digest.hex}.sig", "v1"]


def test_the_referrers_api_lists_the_bundle(
    registry: Registry, store: Store, tmp_path: Path
) -> None:
    name = ModelName.parse("lab/model:v1")
    digest = add_model(store, name).digest
    sign(name, store, new_key(tmp_path))
    answer = registry.call("GET", f"lab/model/referrers/{digest}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, MediaType.OCI_INDEX)
    (entry,) = answer.json()["manifests"]
    kind = "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert entry["artifactType"] == kind
    assert registry.call("GET", f"lab/model/manifests/{entry['digest']}").status == 200
    for wanted, count in ((kind, 1), ("application/spdx+json", 0)):
        path = f"lab/model/referrers/{digest}?artifactType={wanted.replace('+', '%2B')}"
        answer = registry.call("GET", path)
        assert len(answer.json()["manifests"]) == count
        assert answer.headers["OCI-Filters-Applied"] == "artifactType"


def test_nothing_refers_to_an_unknown_manifest(registry: Registry) -> None:
    answer = registry.call("GET", f"lab/model/referrers/{MISSING}")
    assert (answer.status, answer.json()["manifests"]) == (200, [])


def test_an_artifact_can_be_deleted(registry: Registry, store: Store, tmp_path: Path) -> None:
    name = ModelName.parse("lab/model:v1")
    manifest = add_model(store, name)
    key = new_key(tmp_path)
    sign(name, store, key)
    (entry,) = registry.call("GET", f"lab/model/referrers/{manifest.digest}").json()["manifests"]
    assert registry.call("DELETE", f"lab/model/manifests/{entry['digest']}").status == 202
    left = registry.call("GET", f"lab/model/referrers/{manifest.digest}").json()
    assert left["manifests"] == []
    path = f"lab/model/manifests/sha256-{manifest.digest.hex}.sig"
    assert registry.call("DELETE", path).status == 202
    found = verify(name, manifest.raw, StoreSignatures(store, name), [key.public])
    assert not found.verified


def test_a_signature_blob_of_absurd_size_is_refused(registry: Registry, store: Store) -> None:
    config = registry.push_blob("lab/model", b"{}")
    layer = registry.push_blob("lab/model", bytes(17 * 1024 * 1024))
    value = {
        "schemaVersion": 2,
        "mediaType": MediaType.OCI_MANIFEST,
        "config": Descriptor(MediaType.OCI_CONFIG, config, 2).to_json(),
        "layers": [Descriptor("x/y", layer, 17 * 1024 * 1024).to_json()],
    }
    path = f"lab/model/manifests/sha256-{MISSING.hex}.sig"
    assert put(registry, path, json.dumps(value).encode(), MediaType.OCI_MANIFEST) == 413
    assert not store.signatures.manifests.exists()
