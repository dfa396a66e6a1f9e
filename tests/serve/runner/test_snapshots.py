"""Copies of prefixes in memory and on disk, of a tiny real model's cache in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from modelkit.errors import StoreError
from modelkit.serve.runner.cache.snapshot_files import SnapshotFiles
from modelkit.serve.runner.cache.snapshots import MIN_TOKENS, Snapshots
from modelkit.serve.runner.llama.batch import Batch
from modelkit.serve.runner.llama.context import Context
from modelkit.serve.runner.llama.log import Log
from modelkit.serve.runner.llama.model import Model

_SIZE = MIN_TOKENS + 44
_TEXT = [1, *(290 + 7 * n % 90 for n in range(_SIZE - 1))]
_OTHER = [1, *(290 + 11 * n % 90 for n in range(_SIZE - 1))]
_PLENTY = 1 << 30
_IDENTITY = "tiny f16"


class _Cache:
    """A context and a way to read text into its slots."""

    def __init__(self, model: Model, cache_type: str = "f32") -> None:
        self.context = Context(
            model, n_ctx=2048, n_batch=512, n_seq_max=4, n_threads=1, cache_type=cache_type
        )
        self._batch = Batch(512)

    def reread(self, slot: int, tokens: list[int], start: int) -> npt.NDArray[np.float32]:
        """The same as `read` in batches of the same lengths, with nothing in the slot before."""
        self.read(slot, tokens[:start])
        return self.read(slot, tokens, start)

    def read(self, slot: int, tokens: list[int], start: int = 0) -> npt.NDArray[np.float32]:
        """The logits after the last token; the first `start` tokens are in the slot already."""
        self._batch.clear()
        last = self._batch.extend(tokens[start:], start, slot)
        self._batch.want_output(last)
        self.context.decode(self._batch)
        return self.context.logits(last).copy()


def _same(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> bool:
    """Equal but for the order in which the cells of a cache are added up."""
    return np.allclose(ours, theirs, rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def model(llama: Path) -> Model:
    return Model(str(llama), Log())


@pytest.fixture
def cache(model: Model) -> _Cache:
    return _Cache(model)


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[[], Snapshots]:
    """Snapshots over the same folder, as another process would make them."""

    def make(identity: str = _IDENTITY, limit: int = _PLENTY) -> Snapshots:
        return Snapshots(_PLENTY, files=SnapshotFiles(tmp_path / "kept", identity, limit))

    return make


def _files(folder: Path) -> list[Path]:
    return sorted((folder / "kept").iterdir())


def test_a_text_goes_on_from_its_copy_as_if_it_had_been_read(cache: _Cache) -> None:
    snapshots = Snapshots(_PLENTY)
    cache.read(0, _TEXT)
    snapshots.save(cache.context, 0, _TEXT)
    cache.context.remove(0)
    longer = [*_TEXT, 300, 301, 302]
    assert snapshots.best(longer) == snapshots.restore(cache.context, 2, longer) == _SIZE
    assert _same(cache.read(2, longer, _SIZE), cache.reread(1, longer, _SIZE))


def test_the_common_start_of_a_copy_is_used(cache: _Cache) -> None:
    snapshots = Snapshots(_PLENTY)
    cache.read(0, _TEXT)
    snapshots.save(cache.context, 0, _TEXT)
    branch = [*_TEXT[:270], 350, 351, 352]
    assert snapshots.restore(cache.context, 2, branch) == 270
    assert _same(cache.read(2, branch, 270), cache.reread(1, branch, 270))


def test_the_last_token_of_a_prompt_is_always_left_to_read(cache: _Cache) -> None:
    snapshots = Snapshots(_PLENTY)
    cache.read(0, _TEXT)
    snapshots.save(cache.context, 0, _TEXT)
    assert snapshots.best(_TEXT) == _SIZE - 1
    assert snapshots.restore(cache.context, 1, _TEXT) == _SIZE - 1
    assert snapshots.best([5, 6, 7]) == 0


def test_the_longest_common_start_wins(cache: _Cache) -> None:
    snapshots = Snapshots(_PLENTY)
    for slot, text in enumerate((_TEXT, [*_TEXT[:280], *_OTHER[280:]], _OTHER)):
        cache.read(slot, text)
        snapshots.save(cache.context, slot, text)
    assert snapshots.best([*_TEXT[:290], 5, 6]) == 290
    assert snapshots.best([*_TEXT[:280], *_OTHER[280:290], 5, 6]) == 290


def test_copies_of_one_set_of_adapters_are_no_use_for_another(cache: _Cache) -> None:
    snapshots = Snapshots(_PLENTY)
    cache.read(0, _TEXT)
    snapshots.save(cache.context, 0, _TEXT, "pirate")
    assert snapshots.best(_TEXT) == 0
    assert snapshots.restore(cache.context, 1, _TEXT, "polite") == 0
    assert snapshots.best(_TEXT, "pirate") == _SIZE - 1


def test_short_texts_are_not_worth_a_copy(cache: _Cache) -> None:
    snapshots = Snapshots(_PLENTY)
    cache.read(0, _TEXT[: MIN_TOKENS - 1])
    snapshots.save(cache.context, 0, _TEXT[: MIN_TOKENS - 1])
    assert snapshots.size == 0


def test_a_longer_copy_takes_the_place_of_its_start(cache: _Cache) -> None:
    snapshots = Snapshots(_PLENTY)
    cache.read(0, _TEXT[:280])
    snapshots.save(cache.context, 0, _TEXT[:280])
    short = snapshots.size
    cache.read(0, _TEXT, 280)
    snapshots.save(cache.context, 0, _TEXT)
    assert short < snapshots.size < 2 * short
    before = snapshots.size
    snapshots.save(cache.context, 0, _TEXT[:280])
    assert snapshots.size == before


def test_the_budget_holds_and_the_least_recently_used_copy_goes(cache: _Cache) -> None:
    texts = [[*_TEXT[:-1], last] for last in (400, 401, 402)]
    for slot, text in enumerate(texts):
        cache.read(slot, text)
    one = cache.context.save_state(0).nbytes
    snapshots = Snapshots(2 * one)
    for slot in (0, 1):
        snapshots.save(cache.context, slot, texts[slot])
    snapshots.restore(cache.context, 3, [*texts[0], 5])
    snapshots.save(cache.context, 2, texts[2])
    assert snapshots.size == 2 * one
    assert [snapshots.best([*text, 5]) for text in texts] == [_SIZE, _SIZE - 1, _SIZE]


def test_without_a_budget_nothing_is_copied(cache: _Cache) -> None:
    snapshots = Snapshots(0)
    cache.read(0, _TEXT)
    snapshots.save(cache.context, 0, _TEXT)
    assert not snapshots.enabled
    assert snapshots.best(_TEXT) == 0


def test_a_model_that_cannot_go_back_uses_whole_copies_only(cache: _Cache) -> None:
    snapshots = Snapshots(_PLENTY, partial=False)
    cache.read(0, _TEXT)
    snapshots.save(cache.context, 0, _TEXT)
    assert snapshots.best([*_TEXT[:280], 5]) == 0
    assert snapshots.best([*_TEXT, 5]) == _SIZE


def test_a_copy_that_does_not_fit_leaves_an_empty_slot(model: Model) -> None:
    snapshots = Snapshots(_PLENTY)
    other = _Cache(model, "f16")
    other.read(0, _TEXT)
    snapshots.save(other.context, 0, _TEXT)
    cache = _Cache(model)
    cache.read(1, _OTHER)
    assert snapshots.restore(cache.context, 1, _TEXT) == 0
    assert _same(cache.read(1, _TEXT), cache.read(2, _TEXT))


def test_copies_survive_on_disk(
    cache: _Cache, on_disk: Callable[..., Snapshots], tmp_path: Path
) -> None:
    first = on_disk()
    cache.read(0, _TEXT)
    first.save(cache.context, 0, _TEXT, "pirate")
    first.close()
    (file,) = _files(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    again, longer = on_disk(), [*_TEXT, 300]
    assert again.size == 0
    assert again.restore(cache.context, 1, longer, "pirate") == _SIZE
    assert again.size > 0
    assert _same(cache.read(1, longer, _SIZE), cache.reread(2, longer, _SIZE))


def test_without_memory_copies_are_still_kept_on_disk(cache: _Cache, tmp_path: Path) -> None:
    snapshots = Snapshots(0, files=SnapshotFiles(tmp_path / "kept", _IDENTITY, _PLENTY))
    cache.read(0, _TEXT)
    snapshots.save(cache.context, 0, _TEXT)
    # Whether or not the file is complete already.
    assert snapshots.restore(cache.context, 1, [*_TEXT, 5]) == _SIZE
    snapshots.close()
    assert snapshots.restore(cache.context, 2, [*_TEXT, 5]) == _SIZE
    assert snapshots.size == 0


def test_other_models_do_not_see_the_copies_nor_remove_them(
    cache: _Cache, on_disk: Callable[..., Snapshots], tmp_path: Path
) -> None:
    first = on_disk()
    cache.read(0, _TEXT)
    first.save(cache.context, 0, _TEXT)
    first.close()
    assert on_disk("tiny q8_0").best(_TEXT) == 0
    assert len(_files(tmp_path)) == 1


@pytest.mark.parametrize("damage", ["cut", "longer", "magic", "empty", "identity"])
def test_a_file_with_a_damaged_head_is_removed_at_the_start(
    cache: _Cache, on_disk: Callable[..., Snapshots], tmp_path: Path, damage: str
) -> None:
    first = on_disk()
    cache.read(0, _TEXT)
    first.save(cache.context, 0, _TEXT)
    first.close()
    (file,) = _files(tmp_path)
    content = file.read_bytes()
    damaged = {
        "cut": content[:-1],
        "longer": content + b"x",
        "magic": b"x" + content[1:],
        "empty": b"",
        "identity": content[:8] + bytes(32) + content[40:],
    }
    file.write_bytes(damaged[damage])
    assert on_disk().best(_TEXT) == 0
    assert _files(tmp_path) == []


@pytest.mark.parametrize("place", [120, 2000, -1])
def test_a_file_with_a_damaged_body_is_removed_when_it_is_used(
    cache: _Cache, on_disk: Callable[..., Snapshots], tmp_path: Path, place: int
) -> None:
    first = on_disk()
    cache.read(0, _TEXT)
    first.save(cache.context, 0, _TEXT)
    first.close()
    (file,) = _files(tmp_path)
    content = bytearray(file.read_bytes())
    content[place] ^= 0xFF
    file.write_bytes(content)
    snapshots = on_disk()
    assert snapshots.restore(cache.context, 1, [*_TEXT, 5]) == 0
    assert snapshots.best([*_TEXT, 5]) == 0
    assert _files(tmp_path) == []


def test_a_file_that_somebody_removed_is_no_harm(
    cache: _Cache, on_disk: Callable[..., Snapshots], tmp_path: Path
) -> None:
    first = on_disk()
    cache.read(0, _TEXT)
    first.save(cache.context, 0, _TEXT)
    first.close()
    snapshots = on_disk()
    _files(tmp_path)[0].unlink()
    assert snapshots.restore(cache.context, 1, [*_TEXT, 5]) == 0


def test_the_folder_keeps_its_limit_and_a_longer_copy_replaces_its_start(
    cache: _Cache, on_disk: Callable[..., Snapshots], tmp_path: Path
) -> None:
    cache.read(0, _TEXT[:280])
    size = cache.context.save_state(0).nbytes
    snapshots = on_disk(limit=int(2.5 * size))
    snapshots.save(cache.context, 0, _TEXT[:280])
    cache.read(0, _TEXT, 280)
    snapshots.save(cache.context, 0, _TEXT)
    for slot, last in ((1, 400), (2, 401)):
        cache.read(slot, [*_OTHER[:-1], last])
        snapshots.save(cache.context, slot, [*_OTHER[:-1], last])
    snapshots.close()
    assert len(_files(tmp_path)) == 2
    again = on_disk()
    assert [again.best([*text, 5]) for text in (_TEXT, [*_OTHER[:-1], 400])] == [2, _SIZE]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot create"):
        SnapshotFiles(tmp_path / "file" / "kept", _IDENTITY, 1)


def test_a_full_disk_costs_the_copy_only(
    cache: _Cache,
    on_disk: Callable[..., Snapshots],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    snapshots = on_disk()
    (tmp_path / "kept").rmdir()
    cache.read(0, _TEXT)
    snapshots.save(cache.context, 0, _TEXT)
    snapshots.close()
    assert "W cannot write" in capfd.readouterr().err
    assert snapshots.restore(cache.context, 1, [*_TEXT, 5]) == _SIZE
