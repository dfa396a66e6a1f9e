"""Files written are read back the same, by our reader and by the reference package."""

import io
import math
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkit.errors import GGUFError
from modelkit.gguf import GGUFWriter, TensorPlan, read_header
from modelkit.gguf.types import SCALAR_CODES, TENSOR_TYPES_BY_NAME, Value, ValueType
from tests.modelkit.gguf.samples import valid

F32 = TENSOR_TYPES_BY_NAME["F32"]


def _float32(value: float) -> float:
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    return float(rounded)


def _scalars(kind: ValueType) -> st.SearchStrategy[object]:
    """Values of one type."""
    if kind is ValueType.STRING:
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    if kind is ValueType.BOOL:
        return st.booleans()
    if kind in (ValueType.FLOAT32, ValueType.FLOAT64):
        return st.floats(width=32 if kind is ValueType.FLOAT32 else 64, allow_nan=False)
    size = struct.calcsize(SCALAR_CODES[kind]) * 8
    if SCALAR_CODES[kind].isupper():
        return st.integers(0, (1 << size) - 1)
    return st.integers(-(1 << (size - 1)), (1 << (size - 1)) - 1)


SCALARS = st.sampled_from([kind for kind in ValueType if kind is not ValueType.ARRAY])
VALUES = st.one_of(
    SCALARS.flatmap(lambda kind: st.builds(Value, st.just(kind), _scalars(kind))),
    SCALARS.flatmap(
        lambda kind: st.builds(
            Value,
            st.just(ValueType.ARRAY),
            st.lists(_scalars(kind), max_size=5),
            st.just(kind),
        )
    ),
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=15)
TENSORS = st.lists(
    st.builds(
        TensorPlan,
        NAMES,
        st.sampled_from(list(TENSOR_TYPES_BY_NAME.values())),
        st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple),
    ).map(lambda plan: TensorPlan(plan.name, plan.type, _whole_blocks(plan))),
    unique_by=lambda plan: plan.name,
    max_size=4,
)


def _whole_blocks(plan: TensorPlan) -> tuple[int, ...]:
    return (plan.shape[0] * plan.type.block, *plan.shape[1:])


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=6), TENSORS)
def test_what_is_written_is_read_back(
    metadata: dict[str, Value], tensors: list[TensorPlan]
) -> None:
    metadata.pop("general.alignment", None)
    out = io.BytesIO()
    writer = GGUFWriter(out, metadata, tensors)
    for number, plan in enumerate(tensors):
        writer.write_tensor([bytes([number])] * plan.nbytes)
    writer.finish()
    found = read_header(out)
    assert found.metadata == {key: value.value for key, value in metadata.items()}
    assert [(t.name, t.type, t.shape) for t in found.tensors] == [
        (plan.name, plan.type.name, plan.shape) for plan in tensors
    ]
    for number, info in enumerate(found.tensors):
        data = out.getvalue()[info.offset : info.offset + info.nbytes]
        assert data == bytes([number]) * info.nbytes


def test_the_reference_package_reads_the_same(tmp_path: Path) -> None:
    from gguf import GGUFReader

    path = tmp_path / "model.gguf"
    path.write_bytes(valid())
    ours, theirs = read_header(path), GGUFReader(path)
    fields = {
        key: field.contents() for key, field in theirs.fields.items() if not key.startswith("GGUF.")
    }
    assert fields == ours.metadata
    assert [
        (t.name, t.tensor_type.name, tuple(int(n) for n in t.shape), t.data_offset, t.n_bytes)
        for t in theirs.tensors
    ] == [(t.name, t.type, t.shape, t.offset, t.nbytes) for t in ours.tensors]


def test_the_file_is_written_front_to_back_and_padded() -> None:
    class Pipe:
        """Cannot seek."""

        def __init__(self) -> None:
            self.written = b""

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.written += bytes(data)

    pipe = Pipe()
    writer = GGUFWriter(pipe, {}, [TensorPlan("t", F32, (3,))])
    header_size = len(pipe.written)
    assert header_size % 32 == 0
    writer.write_tensor([memoryview(b"\x01" * 4), bytearray(b"\x02" * 8)])
    assert pipe.written[header_size:] == b"\x01" * 4 + b"\x02" * 8 + bytes(20)


@pytest.mark.parametrize("size", [0, 11, 13, 100])
def test_data_that_does_not_fit_the_plan_is_refused(size: int) -> None:
    writer = GGUFWriter(io.BytesIO(), {}, [TensorPlan("t", F32, (3,))])
    with pytest.raises(GGUFError, match="tensor t has"):
        writer.write_tensor([bytes(size)])


def test_a_tensor_that_was_never_written_is_named() -> None:
    writer = GGUFWriter(io.BytesIO(), {}, [TensorPlan("t", F32, (3,))])
    with pytest.raises(GGUFError, match="tensor t was never written"):
        writer.finish()


def test_a_tensor_nobody_announced_is_refused() -> None:
    with pytest.raises(GGUFError, match="more tensors"):
        GGUFWriter(io.BytesIO(), {}, []).write_tensor([b"x"])


def test_a_tensor_name_too_long_for_the_engine_is_refused() -> None:
    with pytest.raises(GGUFError, match="longer than 63 bytes"):
        GGUFWriter(io.BytesIO(), {}, [TensorPlan("t" * 64, F32, (1,))])


@pytest.mark.parametrize(
    "value",
    [
        Value.uint32(-1),
        Value.uint32(1 << 32),
        Value.float32(1e300),
        Value(ValueType.UINT32, "5"),
        Value(ValueType.ARRAY, [1]),
        Value.array(ValueType.INT32, [1, 1 << 31]),
        Value.string("\udc80"),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_refused(value: Value) -> None:
    with pytest.raises(GGUFError, match=r"the value of some\.key cannot be written"):
        GGUFWriter(io.BytesIO(), {"some.key": value}, [])


def test_float32_is_rounded_as_the_format_holds_it() -> None:
    out = io.BytesIO()
    GGUFWriter(out, {"eps": Value.float32(1e-5)}, []).finish()
    value = read_header(out).metadata["eps"]
    assert value == _float32(1e-5)
    assert isinstance(value, float)
    assert math.isclose(value, 1e-5, rel_tol=1e-6)
