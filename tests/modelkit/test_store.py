"""The store: crash-safe, shared, and never garbage-collecting what somebody needs."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from modelkit.digest import Digest
from modelkit.errors import (
    BlobNotFound,
    DigestMismatch,
    ManifestError,
    ModelNotFound,
    StoreError,
)
from modelkit.manifest import Descriptor, Manifest, MediaType, ModelConfig
from modelkit.names import ModelName
from modelkit.store import Store


def model(store: Store, name: str, weights: bytes = b"weights", **texts: str) -> Manifest:
    """Put a model with these layers into the store."""
    with store.lease():
        config = ModelConfig(model_family=name.partition(":")[0]).to_json()
        layers = [_layer(store, MediaType.MODEL, weights)]
        layers += [_layer(store, getattr(MediaType, k), v.encode()) for k, v in texts.items()]
        manifest = Manifest.new(_layer(store, MediaType.CONFIG, config), layers)
        store.write_manifest(ModelName.parse(name), manifest)
    return manifest


def _layer(store: Store, media_type: str, data: bytes) -> Descriptor:
    return Descriptor(media_type, store.add_bytes(data), len(data))


def leftovers(store: Store) -> list[str]:
    return [path.name for path in store.blobs.iterdir() if not path.name.startswith("sha256-")]


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_new_store_is_empty_and_creates_nothing(store: Store) -> None:
    assert store.names() == []
    assert store.prune() == []
    assert not store.root.exists()


def test_a_blob_is_found_under_its_digest(store: Store) -> None:
    digest = store.add_bytes(b"hello")
    assert store.blob_path(digest).name == digest.filename
    assert store.read_blob(digest) == b"hello"
    assert store.blob_path(digest).stat().st_mode & 0o777 == 0o644
    assert leftovers(store) == []


def test_a_missing_blob_says_so(store: Store) -> None:
    with pytest.raises(BlobNotFound):
        store.read_blob(Digest.of(b"nothing"))
    with pytest.raises(BlobNotFound):
        store.open_blob(Digest.of(b"nothing"))


def test_a_blob_larger_than_expected_is_not_read(store: Store) -> None:
    with pytest.raises(StoreError, match="more than the 4 expected"):
        store.read_blob(store.add_bytes(b"hello"), limit=4)


def test_a_file_is_stored_with_its_digest_and_size(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "weights"
    source.write_bytes(os.urandom(3_000_000))
    digest, size = store.add_file(source)
    assert (digest, size) == (Digest.of(source.read_bytes()), 3_000_000)


def test_a_writer_that_fails_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.writer() as writer:
            writer.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(store.blobs.iterdir()) == []


def test_a_writer_refuses_bytes_with_another_digest(store: Store) -> None:
    with pytest.raises(DigestMismatch), store.writer(Digest.of(b"good")) as writer:
        writer.write(b"bad")
    assert list(store.blobs.iterdir()) == []


def test_a_writer_adopts_what_another_program_wrote(store: Store) -> None:
    with store.writer() as writer:
        writer.write(b"first")
        writer.path.write_bytes(b"from the tool")
        writer.adopt()
    assert store.read_blob(writer.digest) == b"from the tool"


def test_a_folder_that_cannot_be_written_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file, not a folder")
    with pytest.raises(StoreError, match=r"cannot create .*: Not a directory"):
        Store(tmp_path / "models").add_bytes(b"x")


def test_a_manifest_is_listed_and_read_back(store: Store) -> None:
    manifest = model(store, "Foo")
    assert store.names() == [ModelName.parse("foo")]
    assert store.manifest(ModelName.parse("foo")).raw == manifest.raw
    assert store.check(ModelName.parse("foo")) == []


def test_a_missing_model_says_so(store: Store) -> None:
    for missing in (store.manifest, store.delete, store.modified_at):
        with pytest.raises(ModelNotFound, match="model 'nope:latest' not found"):
            missing(ModelName.parse("nope"))


def test_any_case_finds_the_one_manifest(store: Store) -> None:
    model(store, "Foo")
    model(store, "foo", weights=b"other")
    assert [path.name for path in (store.manifests / "registry.ollama.ai/library").iterdir()] == [
        "Foo"
    ]
    assert store.resolve(ModelName.parse("FOO")).model == "Foo"


def test_files_that_are_no_names_are_passed_over(store: Store) -> None:
    model(store, "foo")
    folder = store.manifests / "registry.ollama.ai/library/foo"
    (folder / ".hidden").write_text("{}")
    (folder / "deep").mkdir()
    (folder / "deep/er").write_text("{}")
    assert store.names() == [ModelName.parse("foo")]


def test_a_manifest_with_a_missing_blob_is_not_written(store: Store) -> None:
    manifest = model(store, "foo")
    store.blob_path(manifest.layers[0].digest).unlink()
    with pytest.raises(BlobNotFound):
        store.write_manifest(ModelName.parse("bar"), manifest)
    assert store.names() == [ModelName.parse("foo")]


def test_a_manifest_with_a_wrong_size_is_not_written(store: Store) -> None:
    manifest = model(store, "foo")
    store.blob_path(manifest.layers[0].digest).write_bytes(b"short")
    with pytest.raises(StoreError, match="the manifest says 7"):
        store.write_manifest(ModelName.parse("bar"), manifest)


def test_a_damaged_manifest_names_the_model(store: Store) -> None:
    model(store, "foo")
    (store.manifests / "registry.ollama.ai/library/foo/latest").write_text("{")
    with pytest.raises(ManifestError, match="foo:latest: invalid manifest"):
        store.manifest(ModelName.parse("foo"))


def test_check_finds_missing_short_and_changed_blobs(store: Store) -> None:
    manifest = model(store, "foo", SYSTEM="be kind", LICENSE="MIT")
    store.blob_path(manifest.layers[0].digest).unlink()
    store.blob_path(manifest.layers[1].digest).write_bytes(b"short")
    store.blob_path(manifest.layers[2].digest).write_bytes(b"TIM")
    problems = store.check(ModelName.parse("foo"))
    assert len(problems) == 3
    assert "missing" in problems[0]
    assert "5 bytes" in problems[1]
    assert "is damaged" in problems[2]


def test_a_shared_blob_stays_until_its_last_model_goes(store: Store) -> None:
    manifest = model(store, "foo", SYSTEM="foo")
    model(store, "bar", SYSTEM="bar")
    shared = manifest.layers[0].digest
    assert shared not in store.delete(ModelName.parse("foo"))
    assert store.has_blob(shared)
    assert shared in store.delete(ModelName.parse("bar"))
    assert list(store.blobs.iterdir()) == []
    assert not store.manifests.exists()


def test_a_manifest_that_lists_a_blob_twice_can_be_deleted(store: Store) -> None:
    model(store, "foo", SYSTEM="same", LICENSE="same")
    assert len(store.delete(ModelName.parse("foo"))) == 3


def test_delete_tolerates_a_missing_blob(store: Store) -> None:
    store.blob_path(model(store, "foo").layers[0].digest).unlink()
    store.delete(ModelName.parse("foo"))
    assert store.names() == []


def test_a_model_with_a_damaged_manifest_can_be_deleted(store: Store) -> None:
    model(store, "foo")
    (store.manifests / "registry.ollama.ai/library/foo/latest").write_text("{")
    store.delete(ModelName.parse("foo"))
    assert store.names() == []


def test_delete_takes_the_signatures_with_it(store: Store) -> None:
    manifest = model(store, "foo")
    model(store, "other")
    for name in ("foo", "other"):
        model(store.signatures, f"{name}:{manifest.digest.filename}.sig", b"signature")
    store.delete(ModelName.parse("foo"))
    assert [name.model for name in store.signatures.names()] == ["other"]


def test_a_copy_keeps_the_digest(store: Store) -> None:
    manifest = model(store, "foo")
    store.copy(ModelName.parse("foo"), ModelName.parse("ns/bar:v1"))
    assert store.manifest(ModelName.parse("ns/bar:v1")).digest == manifest.digest


def test_prune_removes_old_garbage_and_keeps_young(store: Store) -> None:
    model(store, "foo")
    old, young = store.add_bytes(b"old"), store.add_bytes(b"young")
    (store.blobs / "tmp-1-dead").write_bytes(b"x")
    store.partial_path(Digest.of(b"resumable")).write_bytes(b"x")
    for path in store.blobs.iterdir():
        age(path, 7200)
    age(store.blob_path(young), 600)
    assert store.prune() == [old]
    assert store.check(ModelName.parse("foo")) == []
    assert leftovers(store) == []
    assert store.partial_path(Digest.of(b"resumable")).exists()


def test_prune_removes_nothing_when_a_manifest_is_damaged(store: Store) -> None:
    model(store, "foo")
    (store.manifests / "registry.ollama.ai/library/foo/latest").write_text("{")
    assert store.prune(min_age=-1) == []


def test_nothing_is_collected_while_somebody_holds_a_lease(store: Store) -> None:
    orphan = store.add_bytes(b"about to be referenced")
    with store.lease():
        assert store.prune(min_age=-1) == []
        assert store.discard([orphan]) == []
    assert store.prune(min_age=-1) == [orphan]


def test_a_reused_blob_becomes_young(store: Store) -> None:
    digest = store.add_bytes(b"x")
    age(store.blob_path(digest), 7200)
    store.add_bytes(b"x")
    assert store.prune() == []


def test_tidy_renames_blobs_of_the_old_spelling(store: Store) -> None:
    store.blobs.mkdir(parents=True)
    (store.blobs / "sha256:abcd").write_bytes(b"x")
    (store.blobs / "sha259:5678").write_bytes(b"x")
    store.tidy()
    assert sorted(path.name for path in store.blobs.iterdir()) == ["sha256-abcd", "sha259:5678"]


def test_threads_can_write_the_same_blob_at_once(store: Store) -> None:
    data = os.urandom(2_000_000)
    threads = [threading.Thread(target=store.add_bytes, args=(data,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in store.blobs.iterdir()] == [Digest.of(data).filename]


CHURN = """
import os, sys
from pathlib import Path
from modelkit.names import ModelName
from modelkit.store import Store
from tests.modelkit.test_store import model
store, who = Store(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
for turn in range(int(sys.argv[3])):
    name = f"{who}{turn % 3}"
    model(store, name, os.urandom(50_000), SYSTEM=f"turn {turn % 2}", LICENSE="shared")
    if turn % 2:
        store.delete(ModelName.parse(name))
    store.prune(min_age=60)
"""


def churn(root: Path, who: str, turns: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHURN, str(root), who, str(turns)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


def whole(store: Store) -> bool:
    return all(store.check(name) == [] for name in store.names())


def test_processes_share_a_store(store: Store) -> None:
    workers = [churn(store.root, who, 25) for who in "abc"]
    for worker in workers:
        assert worker.communicate(timeout=60)[1] == ""
    assert whole(store)


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.13, 0.21])
def test_a_store_is_whole_after_kill_9(store: Store, delay: float) -> None:
    with churn(store.root, "victim", 100_000) as victim:
        assert victim.stdout
        victim.stdout.readline()
        time.sleep(delay)
        victim.send_signal(signal.SIGKILL)
    assert whole(store)
    model(store, "next")
    assert store.check(ModelName.parse("next")) == []
