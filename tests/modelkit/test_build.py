"""Building models: Ollama's bytes, order and semantics, and no trace of failures."""

import resource
from collections.abc import Mapping
from pathlib import Path

import pytest

from modelkit.compiler.build import build
from modelkit.compiler.describe import layer_type, parameter_size
from modelkit.compiler.recipe import Recipe
from modelkit.errors import (
    Cancelled,
    GGUFError,
    InvalidName,
    ModelkitError,
    ModelNotFound,
    QuantizeError,
    StoreError,
    UsageError,
)
from modelkit.gguf import read_header
from modelkit.manifest import Manifest, MediaType, ModelConfig
from modelkit.names import ModelName
from modelkit.progress import Progress
from modelkit.quantize.probe import write_tiny_model
from modelkit.store import Store
from tests.modelkit.gguf_files import write_gguf

NAME = ModelName.parse("test")
TEST_ARCHITECTURE = {"general.architecture": "test"}
LLAMA = {"general.architecture": "llama", "llama.block_count": 1, "general.file_type": 1}
ADAPTER = {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora"}
CLIP = {"general.architecture": "clip", "clip.has_vision_encoder": True}


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """A GGUF of the architecture `test`, as the reference's own tests use it."""
    return write_gguf(tmp_path / "test.gguf", TEST_ARCHITECTURE)


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF that llama.cpp can quantize."""
    path = tmp_path_factory.mktemp("llama") / "llama.gguf"
    with path.open("wb") as out:
        write_tiny_model(out)
    return path


def snapshot(store: Store) -> Mapping[str, bytes]:
    """Every file of the store and its bytes."""
    files = (path for path in store.root.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(store.root)): path.read_bytes() for path in files}


def config_of(store: Store, manifest: Manifest) -> ModelConfig:
    assert manifest.config is not None
    return ModelConfig.parse(store.read_blob(manifest.config.digest))


def kinds(manifest: Manifest) -> list[str]:
    return [layer.media_type.rpartition(".")[2] for layer in manifest.layers]


def digest_of(manifest: Manifest, media_type: str) -> str:
    (layer,) = manifest.layers_of(media_type)
    return layer.digest.hex


def from_file(path: Path, **rest: object) -> Recipe:
    return Recipe(files={path.name: path}, **rest)  # type: ignore[arg-type]


# Golden bytes of the reference's own tests


def test_the_config_has_the_references_bytes(gguf: Path, store: Store) -> None:
    manifest = build(from_file(gguf), NAME, store)
    assert manifest.config is not None
    assert manifest.config.digest.hex == (
        "99759ad5b91e723db0393d698ffbb448b1b7df5ff6377a108c49254583b1bc8c"
    )
    assert manifest.config.media_type == MediaType.CONFIG


@pytest.mark.parametrize(
    ("given", "media_type", "start", "end"),
    [
        ({"template": "{{ .Prompt }}"}, MediaType.TEMPLATE, "b507b9c2", "b315"),
        ({"template": "{{ .System }} {{ .Prompt }}"}, MediaType.TEMPLATE, "fe7ac77b", "91ed"),
        ({"system": "Say hi!"}, MediaType.SYSTEM, "f29e82a8", "5851"),
        ({"system": "Say bye!"}, MediaType.SYSTEM, "4c5f51fa", "cc86"),
        ({"licenses": ("MIT",)}, MediaType.LICENSE, "e5dcffe8", "a3b7"),
        ({"licenses": ("Apache-2.0",)}, MediaType.LICENSE, "2af71558", "a608"),
        (
            {"parameters": {"temperature": 1.0, "top_k": 10, "stop": ["USER:", "ASSISTANT:"]}},
            MediaType.PARAMS,
            "1d0ad712",
            "1e37",
        ),
        (
            {
                "parameters": {
                    "temperature": 0.6,
                    "top_k": 10,
                    "top_p": 0.7,
                    "stop": ["<|endoftext|>"],
                }
            },
            MediaType.PARAMS,
            "12f58bb7",
            "4d35",
        ),
        (
            {
                "messages": (
                    ("assistant", "What is my purpose?"),
                    ("user", "You run tests."),
                    ("assistant", "Oh, my god."),
                )
            },
            MediaType.MESSAGES,
            "298baeaf",
            "ffc4",
        ),
    ],
)
def test_small_layers_have_the_references_bytes(
    given: dict[str, object], media_type: str, start: str, end: str, gguf: Path, store: Store
) -> None:
    digest = digest_of(build(from_file(gguf, **given), NAME, store), media_type)
    assert digest.startswith(start)
    assert digest.endswith(end)


def test_parameters_merge_over_those_of_the_base(gguf: Path, store: Store) -> None:
    first = {"temperature": 1.0, "top_k": 10, "stop": ["USER:", "ASSISTANT:"]}
    build(from_file(gguf, parameters=first), NAME, store)
    recipe = Recipe(base="test", parameters={"temperature": 0.6, "top_p": 0.7})
    manifest = build(recipe, ModelName.parse("child"), store)
    assert digest_of(manifest, MediaType.PARAMS).startswith("e29a7b3c47287a24")


# What is in a model, and in which order


def test_layers_stand_in_the_references_order(tmp_path: Path, store: Store) -> None:
    recipe = Recipe(
        files={
            "b.gguf": write_gguf(tmp_path / "b.gguf", LLAMA),
            "a-mmproj.gguf": write_gguf(tmp_path / "a.gguf", CLIP),
        },
        adapters={"lora.gguf": write_gguf(tmp_path / "lora.gguf", ADAPTER)},
        drafts={"draft.gguf": write_gguf(tmp_path / "d.gguf", LLAMA, {"x": (32,)})},
        template="t",
        system="s",
        licenses=("MIT", "Apache-2.0"),
        parameters={"top_k": 1},
        messages=(("user", "hi"),),
    )
    manifest = build(recipe, NAME, store)
    assert kinds(manifest) == [
        *("projector", "model", "adapter", "draft"),
        *("template", "system", "license", "license", "params", "messages"),
    ]
    config = config_of(store, manifest)
    assert config.model_family == "llama"
    assert config.model_families == ("clip", "llama", "llama")
    assert config.file_type == "F16"
    assert config.draft == {"model_format": "gguf", "architecture": "llama"}


def test_a_gguf_is_stored_as_it_is_and_names_its_file(gguf: Path, store: Store) -> None:
    manifest = build(from_file(gguf), NAME, store)
    (layer,) = manifest.layers
    assert store.read_blob(layer.digest) == gguf.read_bytes()
    assert layer.from_ == "test.gguf"


def test_a_blob_of_the_store_is_not_copied(gguf: Path, store: Store) -> None:
    digest, _ = store.add_file(gguf)
    before = store.blob_path(digest).stat().st_ino
    manifest = build(Recipe(files={"model.gguf": store.blob_path(digest)}), NAME, store)
    assert manifest.layers[0].digest == digest
    assert store.blob_path(digest).stat().st_ino == before


def test_a_model_from_a_model_inherits_all_it_does_not_replace(gguf: Path, store: Store) -> None:
    parent = build(
        from_file(
            gguf,
            template="{{ .Prompt }}",
            system="Say hi!",
            licenses=("MIT",),
            renderer="r",
            parser="p",
            requires="0.1.0",
            messages=(("user", "one"),),
        ),
        NAME,
        store,
    )
    recipe = Recipe(
        base="TEST", system="Say bye!", licenses=("Apache-2.0",), messages=(("user", "two"),)
    )
    child = build(recipe, ModelName.parse("child"), store)
    assert kinds(child) == ["model", "template", "license", "system", "license", "messages"]
    assert child.layers[0].digest == parent.layers[0].digest
    assert [layer.from_ for layer in child.layers] == ["test:latest"] * 3 + [None] * 3
    config = config_of(store, child)
    assert (config.renderer, config.parser, config.requires) == ("r", "p", "0.1.0")
    assert b"two" in store.read_blob(child.layers_of(MediaType.MESSAGES)[0].digest)


def test_building_a_name_again_replaces_it_and_drops_what_only_it_used(
    gguf: Path, store: Store
) -> None:
    old = build(from_file(gguf, template="{{ .Prompt }}", system="Say hi!"), NAME, store)
    keeper = build(from_file(gguf, system="Say hi!"), ModelName.parse("keeper"), store)
    new = build(from_file(gguf, template="{{ .System }}"), NAME, store)
    assert store.manifest(NAME) == new
    assert not store.has_blob(old.layers_of(MediaType.TEMPLATE)[0].digest)
    assert store.check(NAME) == store.check(ModelName.parse("keeper")) == []
    assert kinds(keeper) == ["model", "system"]


def test_with_noprune_old_blobs_stay(
    gguf: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_NOPRUNE", "1")
    old = build(from_file(gguf, template="{{ .Prompt }}"), NAME, store)
    build(from_file(gguf), NAME, store)
    assert store.has_blob(old.layers_of(MediaType.TEMPLATE)[0].digest)


def test_a_name_in_another_case_is_the_same_model(gguf: Path, store: Store) -> None:
    build(from_file(gguf), ModelName.parse("Test"), store)
    build(from_file(gguf, system="x"), ModelName.parse("tesT"), store)
    assert [name.short for name in store.names()] == ["Test:latest"]


def test_the_same_input_gives_the_same_manifest_anywhere(llama: Path, tmp_path: Path) -> None:
    digests = set()
    for place in ("here", "there"):
        copy = tmp_path / place / "llama.gguf"
        copy.parent.mkdir()
        copy.write_bytes(llama.read_bytes())
        store = Store(tmp_path / place / "models")
        plain = build(from_file(copy, system="hi", parameters={"seed": 1}), NAME, store)
        quantized = build(from_file(copy, quantize="q4_k_m"), ModelName.parse("q"), store)
        digests.add((plain.digest, quantized.digest))
    assert len(digests) == 1


def test_every_step_is_reported_in_the_references_words(gguf: Path, store: Store) -> None:
    seen: list[str] = []
    build(from_file(gguf, system="Say hi!"), NAME, store, report=lambda p: seen.append(p.status))
    manifest = build(Recipe(base="test", system="Say hi!"), ModelName.parse("child"), store)
    model, system = (layer.digest for layer in manifest.layers)
    assert seen == [
        "parsing GGUF",
        "copying test.gguf",
        f"creating new layer {model}",
        f"creating new layer {system}",
        "writing manifest",
        "success",
    ]
    again: list[str] = []
    build(Recipe(base="test"), NAME, store, report=lambda p: again.append(p.status))
    assert again[:2] == [f"using existing layer {model}", f"using existing layer {system}"]


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


# Adapters and other parts


def test_an_adapter_joins_the_model_it_was_trained_on(tmp_path: Path, store: Store) -> None:
    build(from_file(write_gguf(tmp_path / "base.gguf", LLAMA)), NAME, store)
    lora = write_gguf(tmp_path / "lora.gguf", ADAPTER)
    manifest = build(Recipe(base="test", adapters={"lora.gguf": lora}), NAME, store)
    assert kinds(manifest) == ["model", "adapter"]
    assert config_of(store, manifest).model_families == ("llama", "llama")


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


# Bases that are not there


def test_a_missing_base_is_fetched_once(gguf: Path, store: Store) -> None:
    asked: list[ModelName] = []

    def pull(name: ModelName) -> None:
        asked.append(name)
        build(from_file(gguf), name, store)

    build(Recipe(base="ns/base:v1"), NAME, store, pull=pull)
    build(Recipe(base="ns/base:v1"), NAME, store, pull=pull)
    assert asked == [ModelName.parse("ns/base:v1")]


def test_a_missing_base_without_a_way_to_fetch_it_is_an_error(store: Store) -> None:
    with pytest.raises(ModelNotFound, match="model 'nowhere' not found"):
        build(Recipe(base="nowhere"), NAME, store)
    with pytest.raises(InvalidName):
        build(Recipe(base="../x"), NAME, store)


# Bad input and interruption leave nothing behind


@pytest.mark.parametrize(
    ("name", "content", "error", "text"),
    [
        ("x.gguf", b"hello", GGUFError, "not in GGUF format"),
        ("x.gguf", b"", GGUFError, "not in GGUF format"),
        ("x.gguf", b"GGUF\x03\0\0\0", GGUFError, "runs past the end"),
        ("x.bin", b"hello", UsageError, "unknown type"),
        ("config.json", b"GGUF", UsageError, "unknown type"),
    ],
)
def test_a_file_that_is_no_model_is_one_clear_error(
    name: str,
    content: bytes,
    error: type[ModelkitError],
    text: str,
    tmp_path: Path,
    store: Store,
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(error, match=text):
        build(from_file(path), NAME, store)
    assert not snapshot(store)


def test_a_truncated_gguf_is_refused(llama: Path, tmp_path: Path, store: Store) -> None:
    path = tmp_path / "half.gguf"
    path.write_bytes(llama.read_bytes()[:-1000])
    with pytest.raises(GGUFError, match=r"past the end of the file, .*half\.gguf"):
        build(from_file(path), NAME, store)
    assert not snapshot(store)


def test_a_missing_file_and_an_empty_recipe_are_clear(tmp_path: Path, store: Store) -> None:
    with pytest.raises(StoreError, match=r"gone\.gguf: No such file"):
        build(from_file(tmp_path / "gone.gguf"), NAME, store)
    with pytest.raises(UsageError, match="neither 'from' or 'files' was specified"):
        build(Recipe(), NAME, store)


@pytest.mark.parametrize(
    ("name", "extra"),
    [("m-00001-of-00002.gguf", {}), ("m.gguf", {"split.count": 2, "split.no": 0})],
)
def test_a_split_gguf_is_refused_with_the_way_to_merge_it(
    name: str, extra: dict[str, object], tmp_path: Path, store: Store
) -> None:
    path = write_gguf(tmp_path / name, LLAMA | extra)
    with pytest.raises(GGUFError, match="split GGUF") as caught:
        build(from_file(path), NAME, store)
    assert "llama-gguf-split --merge" in (caught.value.hint or "")


def test_a_folder_may_hold_other_files_beside_a_gguf(
    gguf: Path, tmp_path: Path, store: Store
) -> None:
    (tmp_path / "config.json").write_text("{}")
    recipe = Recipe(files={"test.gguf": gguf, "config.json": tmp_path / "config.json"})
    assert kinds(build(recipe, NAME, store)) == ["model"]


def test_the_first_of_two_files_goes_when_the_second_is_bad(
    gguf: Path, tmp_path: Path, store: Store
) -> None:
    (tmp_path / "z.gguf").write_bytes(b"junk")
    with pytest.raises(GGUFError):
        build(Recipe(files={"a.gguf": gguf, "z.gguf": tmp_path / "z.gguf"}), NAME, store)
    assert not snapshot(store)


def test_stopping_at_any_report_leaves_the_store_as_it_was(llama: Path, store: Store) -> None:
    build(from_file(llama, system="before"), NAME, store)
    before = snapshot(store)
    recipe = from_file(llama, quantize="Q8_0", template="new", parameters={"top_k": 1})
    for count in range(1, 1000):
        left = count

        def stop(_: Progress) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Cancelled

        try:
            build(recipe, NAME, store, report=stop)
        except Cancelled:
            if store.manifest(NAME).layers_of(MediaType.TEMPLATE):
                break  # the last report of all comes when the new model is in place
        assert snapshot(store) == before
    assert count > 10
    assert store.check(NAME) == []


def test_a_full_disk_leaves_the_store_as_it_was(llama: Path, gguf: Path, store: Store) -> None:
    build(from_file(gguf), NAME, store)
    before = snapshot(store)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(StoreError, match=r"cannot write .*: File too large"):
            build(from_file(llama), NAME, store)
        with pytest.raises(QuantizeError, match="cannot write"):
            build(from_file(llama, quantize="Q8_0"), NAME, store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert snapshot(store) == before


def test_a_store_that_cannot_be_written_is_one_clear_error(gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot"):
        build(from_file(gguf), NAME, Store(tmp_path / "models"))
