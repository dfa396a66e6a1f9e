"""Builds that fail or are stopped: one clear error, and a store as it was."""

import resource
from contextlib import suppress
from pathlib import Path

import pytest

from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.errors import (
    BlobNotFound,
    Cancelled,
    GGUFError,
    ModelkitError,
    QuantizeError,
    StoreError,
    UsageError,
)
from modelkit.manifest import MediaType
from modelkit.names import ModelName
from modelkit.progress import Progress
from modelkit.store import Store
from tests.modelkit.builds import (
    LLAMA,
    NAME,
    from_file,
    kinds,
    snapshot,
)
from tests.modelkit.gguf_files import write_gguf

# Bad input and interruption leave nothing behind


@pytest.mark.parametrize(
    ("name", "content", "error", "text"),
    [
        ("x.gguf", b"hello", GGUFError, "not in GGUF format"),
        ("x.gguf", b"", GGUFError, "not in GGUF format"),
        ("x.gguf", b"GGUF\x03\0\0\0", GGUFError, "runs past the end"),
        ("x.bin", b"hello", UsageError, "unknown type"),
        ("config.json", b"GGUF", UsageError, "unknown type"),
    ],
)
def test_a_file_that_is_no_model_is_one_clear_error(
    name: str,
    content: bytes,
    error: type[ModelkitError],
    text: str,
    tmp_path: Path,
    store: Store,
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(error, match=text):
        build(from_file(path), NAME, store)
    assert not snapshot(store)


def test_a_truncated_gguf_is_refused(llama: Path, tmp_path: Path, store: Store) -> None:
    path = tmp_path / "half.gguf"
    path.write_bytes(llama.read_bytes()[:-1000])
    with pytest.raises(GGUFError, match=r"past the end of the file, .*half\.gguf"):
        build(from_file(path), NAME, store)
    assert not snapshot(store)


def test_a_missing_file_and_an_empty_recipe_are_clear(tmp_path: Path, store: Store) -> None:
    with pytest.raises(StoreError, match=r"gone\.gguf: No such file"):
        build(from_file(tmp_path / "gone.gguf"), NAME, store)
    with pytest.raises(UsageError, match="neither 'from' or 'files' was specified"):
        build(Recipe(), NAME, store)


@pytest.mark.parametrize(
    ("name", "extra"),
    [("m-00001-of-00002.gguf", {}), ("m.gguf", {"split.count": 2, "split.no": 0})],
)
def test_a_split_gguf_is_refused_with_the_way_to_merge_it(
    name: str, extra: dict[str, object], tmp_path: Path, store: Store
) -> None:
    path = write_gguf(tmp_path / name, LLAMA | extra)
    with pytest.raises(GGUFError, match="split GGUF") as caught:
        build(from_file(path), NAME, store)
    assert "llama-gguf-split --merge" in (caught.value.hint or "")


def test_a_single_part_of_one_is_a_whole_model(tmp_path: Path, store: Store) -> None:
    path = write_gguf(tmp_path / "m-00001-of-00001.gguf", LLAMA | {"split.count": 1})
    assert kinds(build(from_file(path), NAME, store)) == ["model"]


def test_a_base_without_its_weights_is_told_apart(gguf: Path, store: Store) -> None:
    base = build(from_file(gguf), NAME, store)
    store.blob_path(base.layers[0].digest).unlink()
    with pytest.raises(BlobNotFound):
        build(Recipe(base="test", system="x"), ModelName.parse("child"), store)


def test_a_folder_may_hold_other_files_beside_a_gguf(
    gguf: Path, tmp_path: Path, store: Store
) -> None:
    (tmp_path / "config.json").write_text("{}")
    recipe = Recipe(files={"test.gguf": gguf, "config.json": tmp_path / "config.json"})
    assert kinds(build(recipe, NAME, store)) == ["model"]


def test_the_first_of_two_files_goes_when_the_second_is_bad(
    gguf: Path, tmp_path: Path, store: Store
) -> None:
    (tmp_path / "z.gguf").write_bytes(b"junk")
    with pytest.raises(GGUFError):
        build(Recipe(files={"a.gguf": gguf, "z.gguf": tmp_path / "z.gguf"}), NAME, store)
    assert not snapshot(store)


class Stopper:
    """A report that stops the work at its `left`-th call."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self, _: Progress) -> None:
        self.left -= 1
        if self.left == 0:
            raise Cancelled


@pytest.mark.parametrize(("quantize", "step"), [(None, 1), ("Q8_0", 5)])
def test_stopping_at_any_report_leaves_the_store_as_it_was(
    quantize: str | None, step: int, llama: Path, store: Store
) -> None:
    build(from_file(llama, system="before"), NAME, store)
    before = snapshot(store)
    recipe = from_file(llama, quantize=quantize, template="new", parameters={"top_k": 1})
    rounds = 0
    # The last report, "success", comes when the new model is in place.
    while not store.manifest(NAME).layers_of(MediaType.TEMPLATE):
        assert snapshot(store) == before
        with suppress(Cancelled):
            build(recipe, NAME, store, report=Stopper(1 + rounds * step))
        rounds += 1
    assert rounds > 3
    assert store.check(NAME) == []


def test_a_full_disk_leaves_the_store_as_it_was(llama: Path, gguf: Path, store: Store) -> None:
    build(from_file(gguf), NAME, store)
    before = snapshot(store)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(StoreError, match=r"cannot write .*: File too large"):
            build(from_file(llama), NAME, store)
        with pytest.raises(QuantizeError, match="cannot write"):
            build(from_file(llama, quantize="Q8_0"), NAME, store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert snapshot(store) == before


def test_a_store_that_cannot_be_written_is_one_clear_error(gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot"):
        build(from_file(gguf), NAME, Store(tmp_path / "models"))
