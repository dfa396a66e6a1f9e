"""Where a model's weights come from: GGUF, safetensors, adapters; quantized or not."""

import shutil
from pathlib import Path

import pytest

from fixtures.checkpoint import uniform, write_json, write_safetensors
from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.errors import (
    ConvertError,
    ModelkitError,
    QuantizeError,
    UsageError,
)
from modelkit.gguf import read_header
from modelkit.manifest import MediaType
from modelkit.model.traits import layer_type, parameter_size
from modelkit.names import ModelName
from modelkit.progress import Progress
from modelkit.store import Store
from tests.modelkit.builds import (
    ADAPTER,
    CLIP,
    LLAMA,
    NAME,
    TEST_ARCHITECTURE,
    checkpoint,
    config_of,
    from_file,
    kinds,
    snapshot,
)
from tests.modelkit.gguf_files import write_gguf


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        (LLAMA, MediaType.MODEL),
        (TEST_ARCHITECTURE, MediaType.MODEL),
        (ADAPTER, MediaType.ADAPTER),
        (CLIP, MediaType.PROJECTOR),
        ({"general.architecture": "clip", "clip.has_audio_encoder": True}, MediaType.PROJECTOR),
        ({"general.architecture": "clip"}, MediaType.MODEL),
        ({"general.architecture": "x", "general.type": "mmproj"}, MediaType.PROJECTOR),
        ({"general.architecture": "x", "general.type": "projector"}, MediaType.PROJECTOR),
        ({"general.architecture": "x", "x.vision.block_count": 3}, MediaType.PROJECTOR),
        (
            {"general.architecture": "x", "x.vision.block_count": 3, "x.block_count": 1},
            MediaType.MODEL,
        ),
    ],
)
def test_a_gguf_is_classified_by_its_metadata(
    metadata: dict[str, object], kind: str, tmp_path: Path
) -> None:
    assert layer_type(read_header(write_gguf(tmp_path / "x.gguf", metadata))) == kind


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1K"),
        (22_713_216, "22.71M"),
        (125_000_000, "125M"),
        (334_090_000, "334.09M"),
        (7_000_000_000, "7B"),
        (7_615_616_512, "7.6B"),
    ],
)
def test_parameter_counts_are_written_as_ollama_writes_them(count: int, text: str) -> None:
    assert parameter_size(count) == text


# Quantizing while building


def test_a_model_file_is_quantized_into_the_store(llama: Path, store: Store) -> None:
    manifest = build(from_file(llama, quantize="q4_k"), NAME, store)
    (layer,) = manifest.layers
    assert layer.from_ is None
    assert config_of(store, manifest).file_type == "Q4_K_M"
    assert read_header(store.blob_path(layer.digest)).metadata["general.file_type"] == 15
    assert store.check(NAME) == []


def test_a_base_model_is_quantized_and_stays_as_it_was(llama: Path, store: Store) -> None:
    build(from_file(llama, system="hi"), NAME, store)
    child = build(Recipe(base="test", quantize="Q8_0"), ModelName.parse("child"), store)
    assert config_of(store, child).file_type == "Q8_0"
    assert kinds(child) == ["model", "system"]
    assert config_of(store, store.manifest(NAME)).file_type == "F16"


def test_quantizing_to_the_type_it_has_changes_nothing(llama: Path, store: Store) -> None:
    plain = build(from_file(llama), NAME, store)
    same = build(from_file(llama, quantize="f16"), ModelName.parse("same"), store)
    assert same.digest == plain.digest


def test_a_quantized_model_is_not_quantized_again(llama: Path, store: Store) -> None:
    build(from_file(llama, quantize="Q8_0"), NAME, store)
    with pytest.raises(QuantizeError, match="only supported for F16, BF16 and F32"):
        build(Recipe(base="test", quantize="Q4_0"), ModelName.parse("child"), store)


@pytest.mark.parametrize(
    ("type_", "error"), [("Q4_KM", UsageError), ("IQ2_XS", QuantizeError), ("NVFP4", UsageError)]
)
def test_a_type_that_cannot_work_is_refused_before_any_work(
    type_: str, error: type[ModelkitError], llama: Path, store: Store
) -> None:
    seen: list[Progress] = []
    with pytest.raises(error):
        build(from_file(llama, quantize=type_), NAME, store, report=seen.append)
    assert not seen
    assert not store.root.exists()


# Checkpoints in safetensors


def test_real_weights_become_one_converted_layer(minilm: Path, store: Store) -> None:
    seen: list[str] = []
    manifest = build(checkpoint(minilm), NAME, store, report=lambda p: seen.append(p.status))
    (layer,) = manifest.layers
    assert layer.from_ is None
    config = config_of(store, manifest)
    assert (config.model_family, config.model_type, config.file_type) == ("bert", "22.57M", "F16")
    assert seen[0] == "converting model"
    assert seen[-1] == "success"
    assert store.check(NAME) == []


def test_real_weights_are_quantized_from_their_own_precision(minilm: Path, store: Store) -> None:
    seen: list[str] = []
    recipe = checkpoint(minilm, quantize="q8_0")
    manifest = build(recipe, NAME, store, report=lambda p: seen.append(p.status))
    assert "quantizing F32 model to Q8_0" in seen
    assert config_of(store, manifest).file_type == "Q8_0"
    assert {path.name for path in store.blobs.iterdir()} == {
        descriptor.digest.filename for descriptor in manifest.descriptors()
    }


@pytest.mark.parametrize(
    ("quantize", "stored"), [(None, "BF16"), ("f16", "F16"), ("F32", "F32"), ("bf16", "BF16")]
)
def test_full_precision_types_are_converted_directly(
    quantize: str | None, stored: str, tiny_llama: Path, store: Store
) -> None:
    seen: list[str] = []
    recipe = checkpoint(tiny_llama, quantize=quantize)
    manifest = build(recipe, NAME, store, report=lambda p: seen.append(p.status))
    assert config_of(store, manifest).file_type == stored
    assert not [status for status in seen if status.startswith("quantizing")]


@pytest.mark.parametrize("quantize", [None, "q4_k_m"])
def test_a_checkpoint_gives_the_same_manifest_in_any_folder(
    quantize: str | None, tiny_llama: Path, tmp_path: Path
) -> None:
    digests = set()
    for place in ("here", "there"):
        folder = tmp_path / place / f"checkpoint-{place}"
        shutil.copytree(tiny_llama, folder)
        store = Store(tmp_path / place / "models")
        digests.add(build(checkpoint(folder, quantize=quantize), NAME, store).digest)
    assert len(digests) == 1


def test_a_truncated_checkpoint_leaves_nothing(
    tiny_llama: Path, tmp_path: Path, store: Store
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_llama, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    for quantize in (None, "q8_0"):
        with pytest.raises(ConvertError, match=r"model\.safetensors") as caught:
            build(checkpoint(folder, quantize=quantize), NAME, store)
        assert "\n" not in caught.value.message
        assert not snapshot(store)


def test_weights_without_a_config_are_one_clear_error(tiny_llama: Path, store: Store) -> None:
    recipe = Recipe(files={"model.safetensors": tiny_llama / "model.safetensors"})
    with pytest.raises(ConvertError, match=r"config\.json is missing"):
        build(recipe, NAME, store)


# Adapters and other parts


def test_an_adapter_joins_the_model_it_was_trained_on(tmp_path: Path, store: Store) -> None:
    build(from_file(write_gguf(tmp_path / "base.gguf", LLAMA)), NAME, store)
    lora = write_gguf(tmp_path / "lora.gguf", ADAPTER)
    manifest = build(Recipe(base="test", adapters={"lora.gguf": lora}), NAME, store)
    assert kinds(manifest) == ["model", "adapter"]
    assert config_of(store, manifest).model_families == ("llama", "llama")


def test_an_adapter_in_safetensors_is_converted_for_its_model(
    tiny_llama: Path, tmp_path: Path, store: Store
) -> None:
    lora = adapter_folder(tmp_path)
    seen: list[str] = []
    recipe = checkpoint(tiny_llama, adapters={path.name: path for path in lora.iterdir()})
    manifest = build(recipe, NAME, store, report=lambda p: seen.append(p.status))
    assert kinds(manifest) == ["model", "adapter"]
    assert seen.index("converting model") < seen.index("converting adapter")
    (layer,) = manifest.layers_of(MediaType.ADAPTER)
    header = read_header(store.blob_path(layer.digest))
    assert header.metadata["adapter.type"] == "lora"
    assert [tensor.name for tensor in header.tensors] == [
        "blk.0.attn_v.weight.lora_a",
        "blk.0.attn_v.weight.lora_b",
    ]
    assert store.check(NAME) == []


def test_an_adapter_that_fits_no_part_of_the_model_leaves_nothing(
    tiny_llama: Path, tmp_path: Path, store: Store
) -> None:
    lora = adapter_folder(tmp_path, rows=64)
    adapters = {path.name: path for path in lora.iterdir()}
    with pytest.raises(ConvertError, match="does not fit"):
        build(checkpoint(tiny_llama, adapters=adapters), NAME, store)
    assert not snapshot(store)


def test_a_draft_in_safetensors_is_converted_and_not_quantized(
    tiny_llama: Path, store: Store
) -> None:
    drafts = {path.name: path for path in tiny_llama.iterdir() if path.is_file()}
    recipe = checkpoint(tiny_llama, drafts=drafts, quantize="q8_0")
    manifest = build(recipe, NAME, store)
    assert kinds(manifest) == ["model", "draft"]
    (layer,) = manifest.layers_of(MediaType.DRAFT)
    assert read_header(store.blob_path(layer.digest)).metadata["general.file_type"] == 32
    assert config_of(store, manifest).draft == {"model_format": "gguf", "architecture": "llama"}


def adapter_folder(tmp_path: Path, rows: int = 128) -> Path:
    """A LoRA of rank 2 for the value matrix of the tiny llama, in PEFT's layout."""
    folder = tmp_path / "lora"
    folder.mkdir()
    write_json(folder / "adapter_config.json", {"peft_type": "LORA", "r": 2, "lora_alpha": 4})
    name = "base_model.model.model.layers.0.self_attn.v_proj.lora_{}.weight"
    shapes = {name.format("A"): (2, 256), name.format("B"): (rows, 2)}
    tensors = {key: uniform(key, shape, 1) for key, shape in shapes.items()}
    write_safetensors(folder / "adapter_model.safetensors", tensors)
    return folder


def test_an_adapter_for_another_architecture_is_refused(
    gguf: Path, tmp_path: Path, store: Store
) -> None:
    lora = write_gguf(tmp_path / "lora.gguf", ADAPTER)
    with pytest.raises(UsageError, match="the adapter is for llama models, this model is test"):
        build(from_file(gguf, adapters={"lora.gguf": lora}), NAME, store)
    assert not snapshot(store)


def test_a_model_is_no_adapter_and_two_adapters_are_too_many(
    gguf: Path, tmp_path: Path, store: Store
) -> None:
    with pytest.raises(UsageError, match="is not an adapter"):
        build(from_file(gguf, adapters={"x.gguf": gguf}), NAME, store)
    lora = write_gguf(tmp_path / "lora.gguf", ADAPTER)
    with pytest.raises(UsageError, match="only one adapter is currently supported"):
        build(from_file(gguf, adapters={"a.gguf": lora, "b.gguf": lora}), NAME, store)
