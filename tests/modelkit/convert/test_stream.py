"""Reordering and changing the type of tensor data, in chunks of any size."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkit.convert.plan import BF16, F16, F32, PlannedTensor
from modelkit.convert.safetensors import SourceTensor
from modelkit.convert.stream import Streamer
from modelkit.gguf.types import TensorType
from modelkit.gguf.writer import TensorPlan

Array = np.ndarray[Any, Any]


def streamed(
    path: Path, data: bytes, dtype: str, shape: tuple[int, ...], kind: TensorType, heads: int = 0
) -> bytes:
    """The tensor's bytes after streaming, the same for every chunk size tried."""
    path.write_bytes(b"header" + data)
    source = SourceTensor("t", dtype, shape, path, 6, len(data))
    tensor = PlannedTensor(TensorPlan("t", kind, shape[::-1]), source, heads)
    results = set()
    for chunk in (1, 64, 1000, 1 << 20):
        out = io.BytesIO()
        for piece in Streamer(chunk).chunks(tensor):
            out.write(piece)
        results.add(out.getvalue())
    (result,) = results
    return result


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stream") / "data"


FLOATS = st.lists(st.floats(width=32), min_size=1, max_size=40)
HALVES = st.lists(st.floats(width=16, allow_nan=False), min_size=1, max_size=40)


@settings(deadline=None)
@given(values=FLOATS)
def test_the_same_type_is_copied_bit_by_bit(path: Path, values: list[float]) -> None:
    for dtype, kind in (("F32", F32), ("F16", F16), ("BF16", BF16)):
        data = np.array(values, "<f4").tobytes()
        shape = (len(data) // (4 if dtype == "F32" else 2),)
        assert streamed(path, data, dtype, shape, kind) == data


@settings(deadline=None)
@given(values=HALVES)
def test_widening_is_exact(path: Path, values: list[float]) -> None:
    expected = np.array(values, "<f4")
    halves = expected.astype("<f2").tobytes()
    upper = (expected.view("<u4") >> 16).astype("<u2").tobytes()
    cut = (expected.view("<u4") & 0xFFFF0000).tobytes()
    assert streamed(path, halves, "F16", (len(values),), F32) == expected.tobytes()
    assert streamed(path, upper, "BF16", (len(values),), F32) == cut
    doubles = expected.astype("<f8").tobytes()
    assert streamed(path, doubles, "F64", (len(values),), F32) == expected.tobytes()


def _nearest_bfloat16(value: float) -> set[int]:
    """The bits of the bfloat16 nearest to a float32, by trying the two neighbours."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    candidates = [bits >> 16, (bits >> 16) + 1]
    exact = [struct.unpack("<f", struct.pack("<I", c << 16))[0] for c in candidates]
    distances = [abs(value - x) for x in exact]
    if distances[0] == distances[1]:
        return {c for c in candidates if c % 2 == 0}
    return {candidates[distances.index(min(distances))]}


@settings(deadline=None)
@given(st.floats(width=32, min_value=-(2.0**127), max_value=2.0**127))
def test_bfloat16_is_the_nearest(path: Path, value: float) -> None:
    data = struct.pack("<f", value)
    (bits,) = struct.unpack("<H", streamed(path, data, "F32", (1,), BF16))
    assert bits in _nearest_bfloat16(value)


def test_infinity_and_nan_survive_in_bfloat16(path: Path) -> None:
    data = struct.pack("<4f", float("inf"), float("-inf"), float("nan"), -float("nan"))
    nan = b"\x01\x00\x80\x7f"  # a signalling one, whose payload lies in the lost half
    bits = np.frombuffer(streamed(path, data + nan, "F32", (5,), BF16), "<u2")
    assert bits[:2].tolist() == [0x7F80, 0xFF80]
    assert all(number & 0x7FFF > 0x7F80 for number in bits[2:].tolist())


@settings(deadline=None)
@given(values=HALVES)
def test_float16_is_numpys(path: Path, values: list[float]) -> None:
    data = np.array(values, "<f4")
    found = streamed(path, data.tobytes(), "F32", data.shape, F16)
    assert found == data.astype("<f2").tobytes()


@settings(deadline=None)
@given(
    heads=st.integers(1, 4), half=st.integers(1, 4), columns=st.sampled_from([(), (1,), (3,), (8,)])
)
def test_rows_of_a_head_are_paired(
    path: Path, heads: int, half: int, columns: tuple[int, ...]
) -> None:
    shape = (heads * 2 * half, *columns)
    rows: Array = np.arange(np.prod(shape), dtype="<f4").reshape(shape)
    data = streamed(path, rows.tobytes(), "F32", shape, F32, heads)
    found = np.frombuffer(data, "<f4").reshape(shape)
    for head in range(heads):
        first = head * 2 * half
        for row in range(half):
            assert (found[first + 2 * row] == rows[first + row]).all()
            assert (found[first + 2 * row + 1] == rows[first + half + row]).all()


def test_ready_bytes_are_passed_on() -> None:
    tensor = PlannedTensor(TensorPlan("t", F32, (1,)), b"abcd")
    assert list(Streamer().chunks(tensor)) == [b"abcd"]
