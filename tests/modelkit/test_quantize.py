"""Quantization with the real llama.cpp, on a tiny llama that every type accepts."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modelkit.digest import Digest
from modelkit.errors import Cancelled, EngineError, GGUFError, QuantizeError, UsageError
from modelkit.gguf import read_header
from modelkit.progress import Progress
from modelkit.quantize import (
    NEEDS_IMATRIX,
    QUANTIZATIONS,
    file_type_name,
    parse_quantization,
    quantize,
)
from modelkit.quantize.probe import probe_engine, write_tiny_model
from tests.processes import children

WITH_ATTENTION_NEEDS_IMATRIX = {"Q2_K_S", "IQ3_XS"}


@pytest.fixture(scope="session")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough layers that a slow type takes a second and more."""
    return write(tmp_path_factory.mktemp("deep") / "deep.gguf", layers=32)


def write(path: Path, layers: int = 1, tensor_type: str = "F16") -> Path:
    with path.open("wb") as out:
        write_tiny_model(out, layers, tensor_type)
    return path


def digest_of(path: Path) -> Digest:
    return Digest.of(path.read_bytes())


@pytest.mark.parametrize("name", sorted(QUANTIZATIONS))
def test_every_type_works_or_asks_for_an_importance_matrix(
    name: str, llama: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.gguf"
    if name in NEEDS_IMATRIX | WITH_ATTENTION_NEEDS_IMATRIX:
        with pytest.raises(QuantizeError, match=f"^{name} needs an importance matrix"):
            quantize(llama, target, name)
        assert not list(tmp_path.iterdir())
        return
    quantize(llama, target, name)
    header = read_header(target)
    assert file_type_name(header.metadata["general.file_type"]) == name
    assert {tensor.name for tensor in header.tensors} == {
        tensor.name for tensor in read_header(llama).tensors
    }
    assert [path.name for path in tmp_path.iterdir()] == ["out.gguf"]


def test_the_engine_decodes_quantized_weights_on_this_machine() -> None:
    report = probe_engine()
    assert report.version == "0.3.36"
    assert report.types == ("Q8_0", "Q4_0", "Q4_K_M")
    assert "CPU" in report.features


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("q4_K", "Q4_K_M"),
        ("Q3_K", "Q3_K_M"),
        ("q5_k", "Q5_K_M"),
        (" q8_0 ", "Q8_0"),
        ("f16", "F16"),
    ],
)
def test_types_have_short_names_and_any_case(written: str, name: str) -> None:
    assert parse_quantization(written) == name


@pytest.mark.parametrize(
    ("written", "hint"),
    [("Q4_KM", "did you mean Q4_K_M?"), ("q8-0", "did you mean Q8_0?"), ("", None)],
)
def test_an_unknown_type_is_a_usage_error_with_the_list(written: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        parse_quantization(written)
    assert caught.value.message.startswith(
        f"unsupported quantization type {written.upper() or repr('')} - "
    )
    assert caught.value.message.endswith(", ".join(QUANTIZATIONS))
    assert caught.value.hint == hint


def test_file_types_are_named_as_ollama_names_them() -> None:
    assert file_type_name(15) == "Q4_K_M"
    assert file_type_name(39) == "NVFP4"
    assert file_type_name(0) == "F32"
    assert file_type_name(None) == file_type_name(1024) == file_type_name("15") == "unknown"


def test_the_result_does_not_depend_on_threads_or_time(llama: Path, tmp_path: Path) -> None:
    digests = set()
    for threads in (1, 2, 3):
        quantize(llama, tmp_path / f"{threads}.gguf", "Q4_K_M", threads=threads)
        digests.add(digest_of(tmp_path / f"{threads}.gguf"))
    assert len(digests) == 1


def test_f32_to_f16_rounds_the_weights_and_keeps_the_norms(tmp_path: Path) -> None:
    quantize(write(tmp_path / "f32.gguf", tensor_type="F32"), tmp_path / "f16.gguf", "F16")
    types = {tensor.name: tensor.type for tensor in read_header(tmp_path / "f16.gguf").tensors}
    assert types["blk.0.attn_q.weight"] == "F16"
    assert types["blk.0.attn_norm.weight"] == "F32"


def test_progress_counts_the_bytes_of_the_source(llama: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    quantize(llama, tmp_path / "out.gguf", "Q8_0", report=seen.append)
    total = sum(tensor.nbytes for tensor in read_header(llama).tensors)
    assert {progress.total for progress in seen} == {total}
    assert {progress.status for progress in seen} == {"quantizing F16 model to Q8_0"}
    completed = [progress.completed for progress in seen]
    assert completed == sorted(completed)
    assert (completed[0], completed[-1]) == (0, total)
    assert len(set(completed)) == len(read_header(llama).tensors) + 1


def test_quantizing_again_is_refused(llama: Path, tmp_path: Path) -> None:
    quantize(llama, tmp_path / "q8_0.gguf", "Q8_0")
    with pytest.raises(
        QuantizeError,
        match=r"^quantization is only supported for F16, BF16 and F32 models, .* Q8_0$",
    ):
        quantize(tmp_path / "q8_0.gguf", tmp_path / "out.gguf", "Q4_0")


@pytest.mark.parametrize("way", ["same", "dotted", "link"])
def test_a_file_is_never_quantized_onto_itself(way: str, llama: Path, tmp_path: Path) -> None:
    source = tmp_path / "model.gguf"
    source.write_bytes(llama.read_bytes())
    (tmp_path / "link").symlink_to(source)
    target = {
        "same": source,
        "dotted": tmp_path / "x" / ".." / "model.gguf",
        "link": tmp_path / "link",
    }[way]
    before = digest_of(source)
    with pytest.raises(UsageError, match="onto itself"):
        quantize(source, target, "Q8_0")
    assert digest_of(source) == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:100],
        lambda _: b"",
        lambda _: b"not a model at all",
        lambda data: data.replace(b"llama.block_count", b"llama.black_count"),
    ],
    ids=["half", "header", "empty", "garbage", "key"],
)
def test_a_damaged_source_is_one_clear_error(
    damage: Callable[[bytes], bytes], llama: Path, tmp_path: Path
) -> None:
    source = tmp_path / "bad.gguf"
    source.write_bytes(damage(llama.read_bytes()))
    with pytest.raises((GGUFError, QuantizeError)) as caught:
        quantize(source, tmp_path / "out.gguf", "Q8_0")
    assert "bad.gguf" in caught.value.message
    assert "\n" not in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["bad.gguf"]


def test_weights_that_are_not_numbers_are_refused(llama: Path, tmp_path: Path) -> None:
    data = bytearray(llama.read_bytes())
    start = next(t.offset for t in read_header(llama).tensors if t.name == "blk.0.ffn_up.weight")
    data[start : start + 2] = b"\xff\x7f"  # a half-precision NaN
    (tmp_path / "nan.gguf").write_bytes(data)
    with pytest.raises(QuantizeError, match="has invalid data"):
        quantize(tmp_path / "nan.gguf", tmp_path / "out.gguf", "Q8_0")


def test_a_missing_source_and_a_missing_folder_are_clear(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(GGUFError, match=r"nowhere\.gguf"):
        quantize(tmp_path / "nowhere.gguf", tmp_path / "out.gguf", "Q8_0")
    with pytest.raises(QuantizeError, match="there is no folder"):
        quantize(llama, tmp_path / "no" / "out.gguf", "Q8_0")


def test_a_full_disk_leaves_no_file(llama: Path, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # the child inherits it
    try:
        with pytest.raises(QuantizeError, match=r"cannot write .*out\.gguf.* MB free"):
            quantize(llama, tmp_path / "out.gguf", "Q8_0")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("after", [1, 5, 12])
def test_cancelling_ends_the_child_and_removes_the_file(
    after: int, deep: Path, tmp_path: Path
) -> None:
    seen: list[Progress] = []

    def stop(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == after:
            raise Cancelled

    with pytest.raises(Cancelled):
        quantize(deep, tmp_path / "out.gguf", "IQ3_S", report=stop)
    assert len(seen) == after
    assert not list(tmp_path.iterdir())
    assert not children("modelkit.quantize.worker")


@pytest.mark.parametrize(
    ("number", "message", "hint"),
    [
        (signal.SIGSEGV, "crashed (SIGSEGV)", "modelkit doctor"),
        (signal.SIGKILL, "was killed (SIGKILL)", "memory"),
    ],
)
def test_a_dying_child_is_an_error_with_a_hint(
    number: signal.Signals, message: str, hint: str, deep: Path, tmp_path: Path
) -> None:
    def kill(_: Progress) -> None:
        for pid in children("modelkit.quantize.worker"):
            os.kill(pid, number)

    with pytest.raises(EngineError) as caught:
        quantize(deep, tmp_path / "out.gguf", "IQ3_S", report=kill)
    assert caught.value.message == f"the engine process {message}"
    assert hint in (caught.value.hint or "")
    assert not list(tmp_path.iterdir())


def test_without_the_engine_the_error_says_how_to_install_it(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(EngineError, match="not installed") as caught:
        quantize(llama, tmp_path / "out.gguf", "Q8_0")
    assert caught.value.hint == "install it with: pip install 'modelkit-llm[engine]'"


def test_an_engine_that_does_not_load_is_reported(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "llama_cpp.py").write_text("raise OSError('libllama.so: cannot open')")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    with pytest.raises(EngineError, match=r"does not load: libllama\.so: cannot open"):
        quantize(llama, tmp_path / "out.gguf", "Q8_0")


def test_the_child_dies_with_its_parent_and_takes_its_file_along(
    deep: Path, tmp_path: Path
) -> None:
    program = (
        "from pathlib import Path; from modelkit.quantize import quantize;"
        f"quantize(Path({str(deep)!r}), Path({str(tmp_path / 'out.gguf')!r}), 'IQ3_S',"
        " report=lambda progress: print(progress.completed, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        worker = int(Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()[0])
        parent.kill()
    deadline = time.monotonic() + 10
    while is_running(worker) or list(tmp_path.iterdir()):
        assert time.monotonic() < deadline, "the worker outlives its parent"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
