"""Properties of the conversion as a whole: the same bytes everywhere, little memory, progress."""

import hashlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fixtures.checkpoint import write_safetensors
from fixtures.oracle.models import LLAMAS, files
from modelkit.convert import convert
from modelkit.errors import Cancelled
from modelkit.gguf import read_header
from modelkit.progress import Progress
from tests.modelkit.convert.samples import change, copy


def digest(checkpoint: dict[str, Path], outtype: str = "auto") -> str:
    out = io.BytesIO()
    convert(checkpoint, out, outtype)
    return hashlib.sha256(out.getvalue()).hexdigest()


@pytest.mark.parametrize("model", LLAMAS)
def test_the_same_input_gives_the_same_bytes_in_any_folder(model: str, tmp_path: Path) -> None:
    here = copy(model, tmp_path / "here")
    there = copy(model, tmp_path / "some other folder" / "phi3")
    for path in there.values():
        os.utime(path, (0, 0))
    reordered = dict(reversed(there.items()))
    assert digest(here) == digest(reordered) == digest(files(model))


@pytest.mark.parametrize(
    ("model", "expected"),
    [("tiny_llama", "BF16"), ("tiny_llama_tied", "F16"), ("tiny_llama_spm", "F16")],
)
def test_auto_keeps_bfloat16_and_makes_the_rest_float16(model: str, expected: str) -> None:
    out = io.BytesIO()
    convert(files(model), out)
    header = read_header(out)
    types = {tensor.name: tensor.type for tensor in header.tensors}
    assert types["token_embd.weight"] == expected
    assert types["output_norm.weight"] == "F32"
    assert header.metadata["general.file_type"] == {"F16": 1, "BF16": 32}[expected]


def test_progress_goes_from_nothing_to_everything() -> None:
    seen: list[Progress] = []
    convert(files("tiny_llama"), io.BytesIO(), "f16", seen.append)
    assert {progress.status for progress in seen} == {"converting model"}
    completed = [progress.completed for progress in seen]
    assert completed == sorted(completed)
    assert completed[0] == 0
    assert completed[-1] == seen[0].total == seen[-1].total > 0


def test_a_report_that_raises_stops_the_work() -> None:
    out = io.BytesIO()

    def stop(progress: Progress) -> None:
        if progress.completed:
            raise Cancelled

    with pytest.raises(Cancelled):
        convert(files("tiny_llama"), out, "f16", stop)
    assert len(out.getvalue()) < 600_000


def test_values_too_large_for_float16_are_counted(tmp_path: Path) -> None:
    checkpoint = copy("tiny_llama_spm", tmp_path)
    raw = bytearray(checkpoint["model.safetensors"].read_bytes())
    # The first values of the file belong to lm_head.weight, a matrix
    start = 8 + int.from_bytes(raw[:8], "little")
    raw[start : start + 16] = np.array([1e5, -7e4, np.inf, 65504], "<f4").tobytes()
    checkpoint["model.safetensors"].write_bytes(raw)
    seen: list[str] = []
    convert(checkpoint, io.BytesIO(), "f16", lambda progress: seen.append(progress.status))
    assert seen[-1] == (
        "warning: 2 values are too large for f16 and became infinite; use bf16 or f32"
    )
    seen.clear()
    convert(checkpoint, io.BytesIO(), "bf16", lambda progress: seen.append(progress.status))
    assert set(seen) == {"converting model"}


MEASURE = """
import resource, sys
from pathlib import Path
from modelkit.convert import convert
root = Path(sys.argv[1])
with open(sys.argv[2], "wb") as out:
    convert({path.name: path for path in root.iterdir()}, out, sys.argv[3])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _peak(root: Path, outtype: str) -> int:
    """Peak memory of a conversion in a process of its own, in KiB."""
    command = [sys.executable, "-c", MEASURE, str(root), str(root.parent / "out.gguf"), outtype]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return int(done.stdout)


@pytest.mark.parametrize("outtype", ["bf16", "f16", "f32"])
def test_memory_does_not_grow_with_the_model(outtype: str, tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    copy("tiny_llama", small)
    copy("tiny_llama", large)
    width = 50_000  # makes the three matrices of the feed-forward layer 25 MB each
    change(large / "config.json", lambda config: config.update(intermediate_size=width))
    enlarge(large / "model.safetensors", width)
    assert _peak(large, outtype) - _peak(small, outtype) < 60 << 10


def enlarge(path: Path, width: int) -> None:
    """Widen the feed-forward layer of tiny_llama, with zeros."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__")
    arrays = {}
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        arrays[name] = np.frombuffer(raw[start:end], "<u2").reshape(entry["shape"])
    for part, shape in (("gate", (width, 256)), ("up", (width, 256)), ("down", (256, width))):
        arrays[f"model.layers.0.mlp.{part}_proj.weight"] = np.zeros(shape, "<u2")
    write_safetensors(path, arrays)


def test_a_tiny_model_takes_half_a_second() -> None:
    convert(files("tiny_llama"), io.BytesIO(), "f16")  # numpy is loaded by now
    start = time.perf_counter()
    convert(files("tiny_llama"), io.BytesIO(), "f16")
    assert time.perf_counter() - start < 0.5


def test_converting_imports_no_torch_and_no_transformers() -> None:
    code = (
        "import io, sys\n"
        "from fixtures.oracle.models import files\n"
        "from modelkit.convert import convert\n"
        "assert 'numpy' not in sys.modules\n"
        "convert(files('all-minilm'), io.BytesIO())\n"
        "print([m for m in ('torch', 'transformers', 'tokenizers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
