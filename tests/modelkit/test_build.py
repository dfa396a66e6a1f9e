"""Building models: Ollama's bytes, order and semantics."""

from pathlib import Path

import pytest

from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.errors import (
    InvalidName,
    ModelNotFound,
)
from modelkit.manifest import MediaType
from modelkit.names import ModelName
from modelkit.store import Store
from tests.modelkit.builds import ADAPTER, CLIP, LLAMA, NAME, config_of, digest_of, from_file, kinds
from tests.modelkit.gguf_files import write_gguf

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
