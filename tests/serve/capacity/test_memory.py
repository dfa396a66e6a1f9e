"""What a model will take: against what llama.cpp reports, and for caches of all kinds."""

from pathlib import Path

import pytest

from modelkit.gguf import GGUFHeader
from modelkit.serve.capacity.fitting import TooLarge, fitted, smaller
from modelkit.serve.capacity.memory import Shape, estimate
from modelkit.serve.runner.parent.process import RunnerProcess
from modelkit.serve.types import LoadOptions, ModelFiles
from tests.serve.runner.tiny import write_bert, write_llama

MIB = 1 << 20
# llama.cpp rounds what it reports to a hundredth of a MiB, line by line.
_ROUNDING = MIB // 10


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("llama") / "llama.gguf", embd=256, ctx=8192)


async def reported(path: Path, options: LoadOptions) -> int:
    """Bytes of all the buffers that llama.cpp allocates or maps."""
    runner = await RunnerProcess.start(ModelFiles(str(path)), options)
    await runner.close()
    return runner.info.size_bytes


@pytest.mark.parametrize(
    "options",
    [
        LoadOptions(num_ctx=4096, num_parallel=8),
        LoadOptions(num_ctx=4096, num_parallel=8, kv_unified=True),
        LoadOptions(num_ctx=300, num_parallel=5),
        LoadOptions(num_ctx=512, num_parallel=1, num_batch=64),
        LoadOptions(num_ctx=2048, num_parallel=2, flash_attention="off"),
        LoadOptions(num_ctx=4096, num_parallel=4, kv_cache_type="q8_0", flash_attention="on"),
    ],
)
async def test_the_estimate_is_near_what_llama_cpp_takes(llama: Path, options: LoadOptions) -> None:
    need = estimate(ModelFiles(str(llama)), options)
    actual = await reported(llama, options)
    # Never too small, and not a third too large.
    assert actual - _ROUNDING <= need.total - need.runtime <= 1.33 * actual + _ROUNDING


async def test_an_encoder_has_no_cache(tmp_path: Path) -> None:
    bert, options = write_bert(tmp_path / "bert.gguf"), LoadOptions(num_ctx=64)
    need = estimate(ModelFiles(str(bert)), options)
    assert need.cache == 0
    assert need.weights < await reported(bert, options)


def header(**facts: object) -> GGUFHeader:
    """A header of an architecture `x` without tensors: 8 layers, 1024 wide, 16 heads of 64."""
    metadata: dict[str, object] = {
        "block_count": 8,
        "embedding_length": 1024,
        "attention.head_count": 16,
        "context_length": 4096,
        **facts,
    }
    named = {f"x.{key}": value for key, value in metadata.items()}
    return GGUFHeader(3, {"general.architecture": "x", **named}, {}, (), 32, 0)


ONE = LoadOptions(num_ctx=256, num_parallel=1)
CELL = 64 * 2 * 2  # bytes of one head's key and value, in f16
STATE = 8 * (3 * (2048 + 2 * 16) + 2048 * 16) * 4


@pytest.mark.parametrize(
    ("facts", "size"),
    [
        ({}, 8 * 16 * CELL * 256),
        ({"attention.head_count_kv": 4}, 8 * 4 * CELL * 256),
        ({"attention.head_count_kv": [0, 2, 0, 2, 0, 2, 0, 2]}, 4 * 2 * CELL * 256),
        ({"attention.head_count_kv": 4, "attention.key_length": 192}, 8 * 4 * 512 * 256),
        # Sliding windows: llama.cpp keeps whole contexts for them unless told otherwise.
        ({"attention.head_count_kv": 4, "attention.sliding_window": 16}, 8 * 4 * CELL * 256),
        # Compressed keys alone; layers of a draft head; layers that use another's cache.
        (
            {
                "attention.head_count_kv": 1,
                "attention.key_length": 576,
                "attention.key_length_mla": 192,
            },
            8 * 576 * 2 * 256,
        ),
        ({"nextn_predict_layers": 1}, 7 * 16 * CELL * 256),
        ({"attention.shared_kv_layers": 6}, 2 * 16 * CELL * 256),
        ({"full_attention_interval": 4}, 2 * 16 * CELL * 256),
        # A recurrent state for every layer, whatever the context.
        (
            {
                "attention.head_count_kv": 0,
                "ssm.inner_size": 2048,
                "ssm.state_size": 16,
                "ssm.conv_kernel": 4,
                "ssm.group_count": 1,
            },
            STATE,
        ),
    ],
)
def test_caches_of_all_kinds(facts: dict[str, object], size: int) -> None:
    assert Shape.of(header(**facts)).cache(ONE) == size


@pytest.mark.parametrize(
    ("options", "factor"),
    [
        (LoadOptions(num_ctx=512, num_parallel=1), 2.0),
        (LoadOptions(num_ctx=256, num_parallel=3), 3.0),
        (LoadOptions(num_ctx=100, num_parallel=1), 1.0),
        (LoadOptions(num_ctx=300, num_parallel=3), 6.0),
        (LoadOptions(num_ctx=300, num_parallel=3, kv_unified=True), 4.0),
        (LoadOptions(num_ctx=100_000, num_parallel=1), 16.0),
        (LoadOptions(num_ctx=256, num_parallel=1, kv_cache_type="q8_0"), 34 / 64),
        (LoadOptions(num_ctx=256, num_parallel=1, kv_cache_type="f32"), 2.0),
    ],
)
def test_the_cache_grows_with_the_options(options: LoadOptions, factor: float) -> None:
    shape = Shape.of(header())
    assert shape.cache(options) == factor * shape.cache(ONE)


def test_only_what_nobody_asked_for_is_lowered() -> None:
    asked = LoadOptions(num_ctx=131072, num_parallel=4)
    assert list(smaller(asked)) == []
    both = LoadOptions(131072, num_parallel=4, automatic=frozenset({"num_ctx", "num_parallel"}))
    lowered = [(option.num_ctx, option.num_parallel) for option in smaller(both)]
    assert lowered == [(32768, 4), (4096, 4), (4096, 2), (4096, 1)]


def test_smaller_batches_come_before_shorter_contexts(llama: Path) -> None:
    options = LoadOptions(num_ctx=4096, automatic=frozenset({"num_batch", "num_parallel"}))
    files = ModelFiles(str(llama))
    lowered = [(option.num_batch, option.num_parallel) for option in smaller(options)]
    assert lowered == [(128, 8), (128, 4), (128, 2), (128, 1)]
    need = estimate(files, options).total
    assert fitted(files, options, need).num_batch == 512
    fits = fitted(files, options, need - 1)
    assert (fits.num_batch, fits.num_parallel) == (128, 8)
    few = LoadOptions(num_batch=64, automatic=frozenset({"num_batch"}))
    assert list(smaller(few)) == []


def test_a_model_is_fitted_to_the_memory(llama: Path) -> None:
    files = ModelFiles(str(llama))
    options = LoadOptions(num_ctx=4096, automatic=frozenset({"num_parallel"}))

    def total(num_parallel: int) -> int:
        return estimate(files, LoadOptions(num_ctx=4096, num_parallel=num_parallel)).total

    assert fitted(files, options, total(8)) == options
    assert fitted(files, options, total(8) - 1).num_parallel == 4
    assert fitted(files, options, total(1)).num_parallel == 1
    with pytest.raises(TooLarge) as caught:
        fitted(files, options, total(1) - 1)
    assert caught.value.message.startswith("model requires more system memory (0.1 GiB) than is ")
    assert "1 x 4096 tokens" in caught.value.message
    assert "num_ctx" in str(caught.value.hint)


def test_a_file_that_is_no_model_is_left_to_llama_cpp(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.gguf"
    garbage.write_bytes(b"GGUF")
    options = LoadOptions()
    assert fitted(ModelFiles(str(garbage)), options, 0) == options
