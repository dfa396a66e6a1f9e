"""What the safetensors reader accepts, and the one line it says about each file it does not."""

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.oracle.models import folder
from modelkit.convert.safetensors import MAX_HEADER, read_tensors
from modelkit.errors import ConvertError
from tests.modelkit.convert.samples import join, split

NAME = "model.safetensors"


def entry(start: int, end: int, shape: list[Any], dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def refused(path: Path) -> str:
    """The message for a file that must be refused, which is one line."""
    with pytest.raises(ConvertError) as caught:
        read_tensors(path, NAME)
    assert "\n" not in caught.value.message
    assert NAME in caught.value.message
    return caught.value.message


def test_a_real_file_is_read() -> None:
    path = folder("tiny_llama") / NAME
    header, data = split(path)
    tensors = read_tensors(path, NAME)
    assert [tensor.name for tensor in tensors] == [key for key in header if key != "__metadata__"]
    raw = path.read_bytes()
    for tensor in tensors:
        start, end = header[tensor.name]["data_offsets"]
        assert raw[tensor.offset : tensor.offset + tensor.nbytes] == data[start:end]


def test_empty_tensors_and_scalars_are_valid(tmp_path: Path) -> None:
    header = {"a": entry(0, 0, [0, 4]), "b": entry(0, 4, []), "c": entry(4, 4, [0])}
    tensors = read_tensors(join(tmp_path / NAME, header, bytes(4)), NAME)
    assert [(t.name, t.shape, t.nbytes) for t in tensors] == [
        ("a", (0, 4), 0),
        ("b", (), 4),
        ("c", (0,), 0),
    ]


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, 5000])
def test_a_file_cut_off_is_refused(length: int, tmp_path: Path) -> None:
    whole = (folder("tiny_llama_spm") / NAME).read_bytes()
    path = tmp_path / NAME
    path.write_bytes(whole[:length])
    assert "past the end" in refused(path)
    path.write_bytes(whole[:-1])
    assert "past the end" in refused(path)


def test_bytes_behind_the_last_tensor_are_refused(tmp_path: Path) -> None:
    path = join(tmp_path / NAME, {"a": entry(0, 4, [1])}, bytes(8))
    assert "4 bytes at its end" in refused(path)


@pytest.mark.parametrize("length", [MAX_HEADER + 1, 1 << 40, (1 << 64) - 1])
def test_a_header_length_beyond_the_file_is_refused(length: int, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    assert "past the end" in refused(path)


def test_a_header_over_the_limit_is_refused_even_when_the_file_holds_it(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with path.open("wb") as out:
        out.write(struct.pack("<Q", MAX_HEADER + 1))
        out.truncate(MAX_HEADER + 9)
    assert "claims" in refused(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"a": 1' + "0" * 10_000 + "}", "not JSON|not described"),
        ('{"a": {"dtype": "F32"}, "a": {"dtype": "F32"}}', "twice"),
        ('{"a": {"dtype": "F32", "dtype": "F16"}}', "twice"),
        ('{"a": 5}', "not described by an object"),
        ('{"a": {}}', "bad shape"),
    ],
)
def test_a_bad_header_is_refused(header: str, message: str, tmp_path: Path) -> None:
    path = join(tmp_path / NAME, header, b"")
    with pytest.raises(ConvertError, match=message):
        read_tensors(path, NAME)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"a": entry(0, 16, [4]), "b": entry(8, 24, [4])}, "overlaps"),
        ({"a": entry(0, 8, [2]), "b": entry(0, 8, [2])}, "overlaps"),
        ({"a": entry(0, 8, [2]), "b": entry(16, 24, [2])}, "hole"),
        ({"a": entry(8, 24, [4])}, "hole"),
        ({"a": entry(0, 32, [8])}, "past the end"),
        ({"a": entry(0, 1 << 62, [1 << 60])}, "past the end"),
        ({"a": entry(8, 0, [2])}, "bad offsets"),
        ({"a": entry(-8, 0, [2])}, "bad offsets"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}, "bad offsets"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": "0,4"}}, "bad offsets"),
        ({"a": entry(0, 24, [4])}, "do not fit its shape"),
        ({"a": entry(0, 24, [6], "F16")}, "do not fit its shape"),
        ({"a": entry(0, 24, [1 << 40, 1 << 40])}, "do not fit its shape"),
        ({"a": entry(0, 24, [-6])}, "bad shape"),
        ({"a": entry(0, 24, [6.0])}, "bad shape"),
        ({"a": entry(0, 24, [True, 6])}, "bad shape"),
        ({"a": entry(0, 24, [6], "F33")}, "unknown type 'F33'"),
        ({"a": entry(0, 24, [6], None)}, "unknown type None"),
        ({"\n" + "x" * 9999: entry(0, 24, [5])}, "do not fit its shape"),
    ],
)
def test_bad_tensors_are_refused(header: dict[str, Any], message: str, tmp_path: Path) -> None:
    found = refused(join(tmp_path / NAME, header, bytes(24)))
    assert message in found
    assert len(found) < 300


@settings(deadline=None)
@given(header=st.binary(max_size=120), data=st.binary(max_size=16))
def test_noise_is_refused(
    header: bytes, data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / NAME
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\x01" + data)
    refused(path)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_give_an_error_or_tensors_inside_the_file(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / NAME
    join(path, {"a": entry(0, 8, [2]), "b": entry(8, 24, [2, 2])}, bytes(24))
    data = bytearray(path.read_bytes())
    for position, value in changes:
        data[position % len(data)] = value
    path.write_bytes(data)
    try:
        tensors = read_tensors(path, NAME)
    except ConvertError:
        return
    assert all(8 < t.offset <= len(data) - t.nbytes for t in tensors)
