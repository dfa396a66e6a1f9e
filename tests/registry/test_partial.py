"""The unfinished file and its records, Ollama's and ours."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkit.digest import Digest
from modelkit.errors import Cancelled
from modelkit.manifest import Descriptor
from modelkit.registry.transfer import parts
from modelkit.registry.transfer.partial import Partial, open_partial
from modelkit.registry.transfer.parts import read_records
from modelkit.registry.transfer.ramp import Ramp
from modelkit.store import Store
from tests.registry.servers import MIB, pattern

DATA = pattern(40 * MIB)
BLOB = Descriptor("x", Digest.of(DATA), len(DATA))


def never(_completed: int) -> None:
    raise AssertionError("nobody else has the file")


def write_record(store: Store, text: str, number: int = 0) -> Path:
    path = store.partial_path(BLOB.digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    record = path.with_name(f"{path.name}-{number}")
    record.write_text(text)
    return record


def fill(partial: Partial) -> None:
    for part in partial.parts:
        partial.write(part, DATA[part.position : part.stop])


def test_a_new_file_has_the_full_size_and_records_in_ollamas_form(store: Store) -> None:
    with open_partial(store, BLOB, never) as partial:
        assert partial is not None
        path = store.partial_path(BLOB.digest)
        assert path.stat().st_size == BLOB.size
        assert [(part.offset, part.size) for part in partial.parts] == [
            (0, 16 * MIB),
            (16 * MIB, 16 * MIB),
            (32 * MIB, 8 * MIB),
        ]
        record = path.with_name(f"{path.name}-1")
        assert record.read_text() == '{"N":1,"Offset":16777216,"Size":16777216,"Completed":0}'


def test_what_was_written_is_known_after_a_restart(store: Store) -> None:
    with open_partial(store, BLOB, never) as partial:
        assert partial is not None
        partial.write(partial.parts[0], DATA[:1000])
        partial.write(partial.parts[1], DATA[16 * MIB : 32 * MIB])
    with open_partial(store, BLOB, never) as partial:
        assert partial is not None
        assert [part.completed for part in partial.parts] == [1000, 16 * MIB, 0]
        fill(partial)
        assert partial.hash() == BLOB.digest
        partial.promote()
    assert store.hash_blob(BLOB.digest) == BLOB.digest
    assert [path.name for path in store.blobs.iterdir()] == [BLOB.digest.filename]


def test_records_survive_without_a_tidy_end(store: Store) -> None:
    with open_partial(store, BLOB, never) as partial:
        assert partial is not None
        partial.write(partial.parts[0], DATA[: 5 * MIB])
        recorded = read_records(store.partial_path(BLOB.digest))
        assert sum(part.completed for part in recorded) == 5 * MIB


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        '{"N":0,"Offset":0,"Size":100,"Completed":5}',
        '{"N":0,"Offset":0,"Size":41943040,"Completed":41943041}',
        '{"N":0,"Offset":-1,"Size":41943041,"Completed":0}',
        '{"N":0,"Offset":0,"Size":41943040,"Completed":true}',
    ],
)
def test_records_that_cannot_be_true_start_the_download_anew(store: Store, text: str) -> None:
    store.blobs.mkdir(parents=True)
    store.partial_path(BLOB.digest).write_bytes(b"\0" * BLOB.size)
    write_record(store, text)
    with open_partial(store, BLOB, never) as partial:
        assert partial is not None
        assert partial.completed == 0
        assert len(partial.parts) == 3


def test_records_without_their_file_are_not_believed(store: Store) -> None:
    write_record(store, f'{{"N":0,"Offset":0,"Size":{BLOB.size},"Completed":{BLOB.size}}}')
    with open_partial(store, BLOB, never) as partial:
        assert partial is not None
        assert partial.completed == 0


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.builds(
            lambda *values: dict(zip(("N", "Offset", "Size", "Completed"), values, strict=True)),
            *[st.integers(-5, 50) | st.sampled_from([None, "1", 2.5])] * 4,
        ),
        max_size=4,
    )
)
def test_no_records_lead_outside_the_blob(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, object]]
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    blob = Descriptor("x", Digest.of(b"x"), 40)
    store.blobs.mkdir(parents=True)
    path = store.partial_path(blob.digest)
    path.write_bytes(b"\0" * 40)
    for number, record in enumerate(records):
        path.with_name(f"{path.name}-{number}").write_text(json.dumps(record))
    with open_partial(store, blob, never) as partial:
        assert partial is not None
        covered = sorted((part.offset, part.stop) for part in partial.parts)
        assert covered[0][0] == 0
        assert covered[-1][1] == 40
        assert all(one[1] == two[0] for one, two in pairwise(covered))
        assert all(part.offset <= part.position <= part.stop for part in partial.parts)


def test_only_one_may_write_and_the_other_is_told_how_far_it_is(store: Store) -> None:
    told: list[int] = []

    def give_up(completed: int) -> None:
        told.append(completed)
        raise Cancelled

    with open_partial(store, BLOB, never) as partial:
        assert partial is not None
        partial.write(partial.parts[0], DATA[: 16 * MIB])
        with pytest.raises(Cancelled), open_partial(store, BLOB, give_up):
            pass
    assert told == [16 * MIB]


def test_whoever_waited_finds_the_blob_whole(store: Store) -> None:
    with open_partial(store, BLOB, never) as partial:
        assert partial is not None
        fill(partial)

        def finish(_completed: int) -> None:
            partial.promote()
            partial.close()

        with open_partial(store, BLOB, finish) as second:
            assert second is None
    assert store.has_blob(BLOB.digest)
    assert not store.partial_path(BLOB.digest).exists()


def test_a_late_writer_cannot_touch_a_closed_file(store: Store) -> None:
    with open_partial(store, BLOB, never) as partial:
        assert partial is not None
    with pytest.raises(Cancelled):
        partial.write(partial.parts[0], b"late")


def test_part_sizes_stay_within_their_bounds(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    monkeypatch.setattr(parts, "SMALLEST_PART", 10)
    monkeypatch.setattr(parts, "LARGEST_PART", 100)
    for size, expected in ((5, [5]), (25, [10, 10, 5]), (320, [20] * 16), (250 * 16, [100] * 40)):
        blob = Descriptor("x", Digest.of(str(size).encode()), size)
        with open_partial(store, blob, never) as partial:
            assert partial is not None
            assert [part.size for part in partial.parts] == expected


def test_connections_are_added_while_they_help() -> None:
    ramp = Ramp(8, total=10_000, now=0.0, done=0)
    speeds = {1: 100, 2: 200, 4: 400, 8: 800}
    seen, done, now = [], 0.0, 0.0
    for _ in range(8):
        now += 0.5
        done += speeds[ramp.connections] * 0.5
        ramp.observe(now, int(done))
        seen.append(ramp.connections)
    assert seen == [2, 4, 8, 8, 8, 8, 8, 8]


def test_a_connection_that_brings_nothing_is_given_back() -> None:
    ramp = Ramp(8, total=10_000, now=0.0, done=0)
    seen = []
    for tick in range(1, 6):
        ramp.observe(tick * 0.5, tick * 50)
        seen.append(ramp.connections)
    assert seen == [2, 1, 1, 1, 1]


def test_a_download_that_is_nearly_over_is_left_alone() -> None:
    ramp = Ramp(8, total=1000, now=0.0, done=0)
    ramp.observe(0.5, 900)
    assert ramp.connections == 1
