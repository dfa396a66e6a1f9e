"""Damaged GGUF files: an error or a sound header, never another exception, never much memory."""

import io
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from modelkit.errors import GGUFError
from modelkit.gguf import GGUFHeader, read_header
from tests.modelkit.gguf.samples import valid

WHOLE = valid()
HEADER_SIZE = read_header(io.BytesIO(WHOLE)).data_offset
MEMORY = 4 << 20  # bytes; the read window is 1 MiB


def read(data: bytes) -> GGUFHeader | None:
    """The header, or None when it is refused; checks what a header promises and what it costs."""
    tracemalloc.start()
    try:
        found = read_header(io.BytesIO(data))
    except GGUFError:
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY
    for tensor in found.tensors:
        assert tensor.nbytes > 0
        assert found.data_offset <= tensor.offset <= len(data) - tensor.nbytes
    return found


def test_a_file_cut_anywhere_is_refused() -> None:
    last = read_header(io.BytesIO(WHOLE)).tensors[-1]
    for size in range(last.offset + last.nbytes):
        assert read(WHOLE[:size]) is None


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, HEADER_SIZE - 1), st.integers(0, 255)), min_size=1, max_size=8
    )
)
def test_changed_bytes_give_an_error_or_a_sound_header(changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for position, value in changes:
        data[position] = value
    read(bytes(data))


@settings(deadline=None)
@given(st.integers(0, HEADER_SIZE - 8), st.sampled_from([1 << n for n in range(0, 64, 3)]))
def test_a_number_anywhere_in_the_header_can_be_anything(position: int, number: int) -> None:
    for value in (number - 1, number, (1 << 64) - number):
        read(WHOLE[:position] + value.to_bytes(8, "little") + WHOLE[position + 8 :])


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise_after_a_good_start_is_an_error_or_a_sound_header(noise: bytes) -> None:
    read(WHOLE[:24] + noise)
