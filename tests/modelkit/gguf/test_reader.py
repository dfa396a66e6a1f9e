"""What the GGUF reader accepts, and the one line it says about each file it does not."""

import io
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from modelkit.errors import GGUFError
from modelkit.gguf import read_header
from modelkit.gguf.cursor import MAX_STRING
from modelkit.gguf.reader import MAX_ARRAY_ITEMS
from modelkit.gguf.types import TENSOR_TYPES, ValueType
from tests.modelkit.gguf.samples import header, padded, pair, tensor, text, valid

HUGE = (1 << 64) - 1
ARCHITECTURE = pair("general.architecture", ValueType.STRING, text("llama"))


def refused(data: bytes) -> str:
    """The message for a file that must be refused, which is one line."""
    with pytest.raises(GGUFError) as caught:
        read_header(io.BytesIO(data))
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value.message


def test_a_valid_file_is_read_whole() -> None:
    found = read_header(io.BytesIO(valid()))
    assert (found.version, found.architecture, found.alignment) == (3, "llama", 32)
    assert found.metadata["tokens"] == ["a", "", "déjà vu", "▁x"]
    assert found.metadata["scores"] == [0.0, -1.0, 2.5]
    assert found.metadata["a.bool"] is True
    assert found.kinds["tokens"] == "[string]"
    assert found.kinds["a.int64"] == "int64"
    assert found.parameter_count == 32 + 128 + 3
    assert [(t.name, t.type, t.shape, t.nbytes) for t in found.tensors] == [
        ("token_embd.weight", "F16", (8, 4), 64),
        ("blk.0.attn_q.weight", "Q4_0", (64, 2), 72),
        ("output_norm.weight", "F32", (3,), 12),
    ]


def test_offsets_count_from_the_start_of_the_file() -> None:
    data = valid()
    for number, info in enumerate(read_header(io.BytesIO(data)).tensors, start=1):
        assert data[info.offset : info.offset + info.nbytes] == bytes([number]) * info.nbytes


def test_arrays_can_be_left_out_and_scalars_stay() -> None:
    found = read_header(io.BytesIO(valid()), arrays=False)
    assert found.metadata["tokens"] is None
    assert found.metadata["scores"] is None
    assert found.metadata["a.double"] == 0.1
    assert len(found.tensors) == 3


def test_a_file_on_disk_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(valid())
    assert read_header(path).architecture == "llama"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GGUFError, match=r"cannot read the GGUF file: No such file.*model\.gguf"):
        read_header(tmp_path / "model.gguf")


def test_version_2_is_read() -> None:
    assert read_header(io.BytesIO(header([ARCHITECTURE], [], version=2))).version == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the magic|does not start"),
        (b"GG", "does not start with GGUF"),
        (b"\x7fELF" + bytes(60), "does not start with GGUF"),
        (header([], [], version=1), "version 1 is not supported"),
        (header([], [], version=4), "version 4 is not supported"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (b"GGUF\x03\x00\x00\x00", "runs past the end"),
    ],
)
def test_what_is_not_gguf_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(GGUFError, match=message):
        read_header(io.BytesIO(data))


@pytest.mark.parametrize("count", [1, 1 << 20, 1 << 62, HUGE])
def test_counts_beyond_the_file_are_refused(count: int) -> None:
    assert "runs past the end" in refused(header([], [], pair_count=count))
    assert "runs past the end" in refused(header([ARCHITECTURE], [], tensor_count=count))


@pytest.mark.parametrize("length", [100, MAX_STRING, 1 << 62, HUGE])
def test_string_lengths_beyond_the_file_are_refused(length: int) -> None:
    for lie in (struct.pack("<Q", length), text("key") + struct.pack("<IQ", 8, length)):
        assert "past the end" in (m := refused(header([lie + bytes(16)], []))) or "claims" in m


def test_a_string_over_the_limit_is_refused_even_when_the_file_holds_it() -> None:
    long = struct.pack("<Q", MAX_STRING + 1) + bytes(MAX_STRING + 1)
    assert "claims" in refused(header([pair("key", ValueType.STRING, long)], []))


@pytest.mark.parametrize("item", list(ValueType))
@pytest.mark.parametrize("count", [1000, 1 << 40, HUGE])
def test_array_lengths_beyond_the_file_are_refused(item: ValueType, count: int) -> None:
    lie = struct.pack("<IQ", item, count) + bytes(64)
    refused(header([pair("key", ValueType.ARRAY, lie)], []))


def test_too_many_array_items_are_refused_even_when_the_file_holds_them() -> None:
    payload = struct.pack("<IQ", ValueType.UINT8, MAX_ARRAY_ITEMS + 1) + bytes(MAX_ARRAY_ITEMS + 1)
    assert "too many" in refused(header([pair("key", ValueType.ARRAY, payload)], []))


def test_an_array_of_arrays_is_refused() -> None:
    payload = struct.pack("<IQ", ValueType.ARRAY, 0)
    assert "array of arrays" in refused(header([pair("key", ValueType.ARRAY, payload)], []))


def test_a_key_that_appears_twice_is_refused() -> None:
    assert "twice" in refused(header([ARCHITECTURE, ARCHITECTURE], []))


@pytest.mark.parametrize(
    ("bad_pair", "message"),
    [
        (text("key") + struct.pack("<I", 13), "unknown type 13"),
        (text("") + struct.pack("<IB", 7, 1), "empty"),
        (struct.pack("<Q", 1) + b"\xff" + struct.pack("<IB", 7, 1), "not UTF-8"),
        (pair("key", ValueType.BOOL, b"\x02"), "neither true nor false"),
    ],
)
def test_a_bad_pair_is_refused(bad_pair: bytes, message: str) -> None:
    assert message in refused(header([bad_pair + bytes(8)], []))


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (ValueType.UINT32, struct.pack("<I", 0)),
        (ValueType.UINT32, struct.pack("<I", 31)),
        (ValueType.INT32, struct.pack("<i", -32)),
        (ValueType.UINT64, struct.pack("<Q", 32)),
        (ValueType.STRING, text("32")),
        (ValueType.BOOL, b"\x01"),
    ],
)
def test_an_alignment_that_is_no_power_of_two_is_refused(kind: ValueType, payload: bytes) -> None:
    assert "general.alignment" in refused(header([pair("general.alignment", kind, payload)], []))


def test_an_alignment_larger_than_the_file_leaves_no_room_for_data() -> None:
    alignment = pair("general.alignment", ValueType.UINT32, struct.pack("<I", 1 << 31))
    assert "past the end" in refused(padded(header([alignment], [tensor("t", (4,))])) + bytes(64))


@pytest.mark.parametrize(
    ("bad_tensor", "message"),
    [
        (tensor("t", ()), "0 dimensions"),
        (tensor("t", (1, 1, 1, 1, 1)), "5 dimensions"),
        (tensor("t", (4, 0)), "dimension of zero"),
        (tensor("t", (HUGE,)), "past the end"),
        (tensor("t", (1 << 32, 1 << 32)), "past the end"),
        (tensor("t", (HUGE, HUGE, HUGE, HUGE)), "past the end"),
        (tensor("t", (4,), kind=4), "unknown type 4"),
        (tensor("t", (4,), kind=43), "unknown type 43"),
        (tensor("t", (33,), kind=2), "no multiple of 32"),
        (tensor("t", (4,), offset=16), "not aligned"),
        (tensor("t", (4,), offset=1 << 40), "past the end"),
        (tensor("t", (4,), offset=HUGE - 31), "past the end"),
        (tensor("", (4,)), "empty"),
        (tensor("t" * 64, (4,)), "claims 64 bytes"),
    ],
)
def test_a_bad_tensor_is_refused(bad_tensor: bytes, message: str) -> None:
    assert message in refused(padded(header([], [bad_tensor])) + bytes(64))


def test_two_tensors_of_one_name_are_refused() -> None:
    twice = [tensor("t", (4,)), tensor("t", (4,), offset=32)]
    assert "twice" in refused(padded(header([], twice)) + bytes(64))


def test_tensors_that_overlap_are_refused() -> None:
    overlapping = [tensor("a", (16,)), tensor("b", (4,), offset=32)]
    assert "overlaps" in refused(padded(header([], overlapping)) + bytes(96))


def test_a_tensor_cut_off_by_the_end_of_the_file_is_refused() -> None:
    assert "past the end" in refused(padded(header([], [tensor("t", (4,))])) + bytes(15))


def test_a_long_or_strange_name_keeps_the_message_on_one_short_line() -> None:
    key = "\n\x1b[31m" + "x" * 5000
    message = refused(header([text(key) + struct.pack("<I", 99)], []))
    assert len(message) < 200
    assert message.isprintable()


def test_every_tensor_type_agrees_with_the_reference_package() -> None:
    from gguf import GGML_QUANT_SIZES

    for reference, (block, size) in GGML_QUANT_SIZES.items():
        kind = TENSOR_TYPES[reference.value]
        assert (kind.name, kind.block) == (reference.name, block)
        # The package still has an old size for this type, which no file contains
        assert kind.size == size or kind.name == "Q8_1"


def test_reading_a_header_imports_neither_numpy_nor_gguf() -> None:
    code = (
        "import sys, modelkit.gguf.reader, modelkit.gguf.writer, modelkit.convert;"
        "print([m for m in ('numpy', 'gguf') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
