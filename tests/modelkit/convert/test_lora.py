"""LoRA adapters in PEFT's layout: what the engine computes with them, and what is refused."""

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures.checkpoint import (
    Array,
    bfloat16,
    llama_weights,
    uniform,
    write_json,
    write_safetensors,
)
from fixtures.oracle.models import folder, token_sequences
from modelkit.convert import convert
from modelkit.convert.lora import convert_lora
from modelkit.errors import ConvertError, UsageError
from modelkit.gguf import read_header
from modelkit.progress import silent
from tests.modelkit.convert import engine
from tests.modelkit.convert.samples import change_header
from tests.modelkit.gguf_files import write_gguf

ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
RANK, ALPHA = 4, 12


class Base:
    """A llama checkpoint in float32 and its GGUF file."""

    def __init__(self, place: Path, model: str) -> None:
        place.mkdir(parents=True)
        self.config: dict[str, Any] = json.loads((folder(model) / "config.json").read_text())
        self.weights = llama_weights(self.config, model, {})
        self.gguf = self.write(place, self.weights, model)
        self.place, self.model = place, model

    def write(self, place: Path, weights: Mapping[str, Array], model: str) -> Path:
        """Convert these weights, with the side files of `model`."""
        write_safetensors(place / "model.safetensors", dict(weights))
        sides = {path.name: path for path in folder(model).glob("*.json")}
        gguf = place / "model.gguf"
        with gguf.open("wb") as out:
            convert(sides | {"model.safetensors": place / "model.safetensors"}, out, "f32")
        return gguf

    def merged(self, factors: Mapping[str, Array], scale: float) -> Path:
        """The GGUF file of W + scale·B·A for each matrix W that the adapter changes."""
        weights = dict(self.weights)
        for name, b in factors.items():
            if name.endswith(".lora_B.weight"):
                module = name.removeprefix("base_model.model.").removesuffix(".lora_B.weight")
                a = factors[name.replace(".lora_B.", ".lora_A.")]
                weights[f"{module}.weight"] = weights[f"{module}.weight"] + np.float32(scale) * (
                    b @ a
                )
        place = self.place / "merged"
        place.mkdir(exist_ok=True)
        return self.write(place, weights, self.model)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return Base(tmp_path_factory.mktemp("lora") / "base", "tiny_llama")


def factors(base: Base, targets: tuple[str, ...] = ALL, rank: int = RANK) -> dict[str, Array]:
    """Matrices A and B, under PEFT's names, for the targets in every layer."""
    found = {}
    for name, weight in base.weights.items():
        module = name.removesuffix(".weight")
        if module.rpartition(".")[2] in targets:
            rows, columns = weight.shape
            for part, shape in (("A", (rank, columns)), ("B", (rows, rank))):
                key = f"base_model.model.{module}.lora_{part}.weight"
                found[key] = uniform(key, shape, 1 / math.sqrt(columns if part == "A" else rank))
    return found


def peft(place: Path, tensors: Mapping[str, Array], **settings: object) -> dict[str, Path]:
    """Write an adapter's folder; returns its files."""
    place.mkdir(exist_ok=True)
    about = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "bias": "none"}
    write_json(place / "adapter_config.json", about | settings)
    write_safetensors(place / "adapter_model.safetensors", dict(tensors))
    return {path.name: path for path in place.iterdir()}


def converted(place: Path, files: Mapping[str, Path], base: Base) -> Path:
    path = place / "adapter.gguf"
    with path.open("wb") as out:
        convert_lora(files, read_header(base.gguf, arrays=False), out, silent)
    return path


def difference(base: Base, adapter: Path, merged: Path) -> float:
    """The largest difference of any logit, in standard deviations; the adapter must matter."""
    sequences = token_sequences(base.config["vocab_size"])
    plain, adapted, expected = (
        np.array(values, dtype=np.float32)
        for values in (
            engine.logits(base.gguf, sequences),
            engine.logits(base.gguf, sequences, adapter),
            engine.logits(merged, sequences),
        )
    )
    assert np.abs(plain - expected).max() / expected.std() > 0.1
    return float(np.abs(adapted - expected).max() / expected.std())


@pytest.mark.parametrize("targets", [ALL, ("q_proj",), ("k_proj",), ("o_proj", "down_proj")])
def test_an_adapter_computes_what_merged_weights_compute(
    targets: tuple[str, ...], base: Base, tmp_path: Path
) -> None:
    tensors = factors(base, targets)
    adapter = converted(tmp_path, peft(tmp_path / "lora", tensors), base)
    assert difference(base, adapter, base.merged(tensors, ALPHA / RANK)) < 1e-4


def test_rslora_scales_by_the_root_of_the_rank(base: Base, tmp_path: Path) -> None:
    tensors = factors(base)
    adapter = converted(tmp_path, peft(tmp_path / "lora", tensors, use_rslora=True), base)
    assert difference(base, adapter, base.merged(tensors, ALPHA / math.sqrt(RANK))) < 1e-4


def test_each_matrix_may_have_its_own_rank(base: Base, tmp_path: Path) -> None:
    tensors = factors(base, ("q_proj",), rank=2) | factors(base, ("v_proj",), rank=2)
    files = peft(tmp_path / "lora", tensors, rank_pattern={"proj": 2})
    adapter = converted(tmp_path, files, base)
    assert difference(base, adapter, base.merged(tensors, ALPHA / 2)) < 1e-4


def test_a_base_with_tied_embeddings_takes_an_adapter(tmp_path: Path) -> None:
    base = Base(tmp_path / "base", "tiny_llama_tied")
    tensors = factors(base)
    adapter = converted(tmp_path, peft(tmp_path / "lora", tensors), base)
    assert difference(base, adapter, base.merged(tensors, ALPHA / RANK)) < 1e-4


def test_the_file_says_what_it_is(base: Base, tmp_path: Path) -> None:
    adapter = converted(tmp_path, peft(tmp_path / "lora", factors(base, ("k_proj",))), base)
    header = read_header(adapter)
    assert header.metadata == {
        "general.architecture": "llama",
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": ALPHA,
    }
    assert [(tensor.name, tensor.type, tensor.shape) for tensor in header.tensors] == [
        ("blk.0.attn_k.weight.lora_a", "F32", (256, RANK)),
        ("blk.0.attn_k.weight.lora_b", "F32", (RANK, 128)),
    ]


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_half_precision_adapters_are_widened(kind: str, base: Base, tmp_path: Path) -> None:
    wide = factors(base)
    if kind == "F16":
        narrow = {name: values.astype("<f2") for name, values in wide.items()}
        same = {name: values.astype("<f4") for name, values in narrow.items()}
    else:
        narrow = {name: bfloat16(values) for name, values in wide.items()}
        same = {name: (values.astype("<u4") << 16).view("<f4") for name, values in narrow.items()}
    data = []
    for number, tensors in enumerate((narrow, same)):
        place = tmp_path / str(number)
        data.append(converted(tmp_path, peft(place, tensors), base).read_bytes())
    assert data[0] == data[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peft_type": "LOHA"}, "peft_type is 'LOHA'"),
        ({"use_dora": True}, "use_dora is True"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out is True"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is"),
        ({"alpha_pattern": {"q_proj": 3}}, "alpha_pattern is"),
        ({"layer_replication": [[0, 1], [0, 1]]}, "layer_replication is"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa'"),
        ({"lora_alpha": None}, "lora_alpha is None"),
        ({"lora_alpha": float("nan")}, "lora_alpha is nan"),
    ],
)
def test_more_than_lora_is_refused(
    settings: dict[str, object], message: str, base: Base, tmp_path: Path
) -> None:
    files = peft(tmp_path / "lora", factors(base), **settings)
    with pytest.raises(ConvertError, match=message.replace("'", "[\"']")) as caught:
        converted(tmp_path, files, base)
    assert "adapter_config.json" in caught.value.message


KEY = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"


def spoiled(
    tensors: dict[str, Array], name: str, shape: tuple[int, ...] | None
) -> dict[str, Array]:
    """Without the tensor, or with one of another shape in its place."""
    rest = {key: values for key, values in tensors.items() if key != name}
    return rest if shape is None else rest | {name: np.zeros(shape, "<f4")}


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        (KEY.format("A"), None, "only one of the two"),
        (KEY.format("A"), (RANK, 255), "does not fit model.layers.0.self_attn.q_proj.weight"),
        (KEY.format("B"), (256, RANK + 1), "does not fit"),
        (KEY.format("A"), (0, 256), "not that of a LoRA matrix"),
        (KEY.format("A"), (256,), "does not fit"),
        ("base_model.model.lm_head.weight", (512, 256), "unexpected tensor"),
        ("layers.0.q_proj.lora_a", (256, RANK), "unexpected tensor"),
        (KEY.format("A").replace("layers.0", "layers.7"), (RANK, 256), "has no tensor"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(
    name: str, shape: tuple[int, ...] | None, message: str, base: Base, tmp_path: Path
) -> None:
    files = peft(tmp_path / "lora", spoiled(factors(base), name, shape))
    with pytest.raises(ConvertError, match=message):
        converted(tmp_path, files, base)


def test_rslora_with_several_ranks_is_refused(base: Base, tmp_path: Path) -> None:
    tensors = factors(base, ("q_proj",)) | factors(base, ("v_proj",), rank=2)
    files = peft(tmp_path / "lora", tensors, use_rslora=True)
    with pytest.raises(ConvertError, match="several ranks"):
        converted(tmp_path, files, base)


def test_an_empty_or_incomplete_folder_is_refused(base: Base, tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match="no tensors"):
        converted(tmp_path, peft(tmp_path / "lora", {}), base)
    weights = {"adapter_model.safetensors": tmp_path / "lora" / "adapter_model.safetensors"}
    with pytest.raises(ConvertError, match=r"adapter_config\.json is missing"):
        converted(tmp_path, weights, base)


def test_integers_are_no_adapter(base: Base, tmp_path: Path) -> None:
    files = peft(tmp_path / "lora", factors(base, ("q_proj",)))

    def as_integers(header: dict[str, Any]) -> None:
        header[KEY.format("A")]["dtype"] = "I32"

    change_header(files["adapter_model.safetensors"], as_integers)
    with pytest.raises(ConvertError, match="has type I32, not a float"):
        converted(tmp_path, files, base)


@pytest.mark.parametrize("architecture", ["bert", "qwen2"])
def test_the_base_must_be_a_llama(architecture: str, base: Base, tmp_path: Path) -> None:
    other = write_gguf(tmp_path / "other.gguf", {"general.architecture": architecture})
    files = peft(tmp_path / "lora", factors(base))
    with pytest.raises(UsageError, match="unsupported architecture"):
        convert_lora(files, read_header(other), io.BytesIO(), silent)
