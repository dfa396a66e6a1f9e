"""Recipes and looks at the result, shared by the tests of the compiler."""

from collections.abc import Mapping
from pathlib import Path

from modelkit.compiler.recipe import Recipe
from modelkit.manifest import Manifest, ModelConfig
from modelkit.names import ModelName
from modelkit.store import Store

NAME = ModelName.parse("test")
TEST_ARCHITECTURE = {"general.architecture": "test"}
LLAMA = {"general.architecture": "llama", "llama.block_count": 1, "general.file_type": 1}
ADAPTER = {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora"}
CLIP = {"general.architecture": "clip", "clip.has_vision_encoder": True}


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


def checkpoint(folder: Path, **rest: object) -> Recipe:
    """What `FROM folder` asks for."""
    names = (path for path in sorted(folder.rglob("*")) if path.suffix in (".json", ".safetensors"))
    files = {path.relative_to(folder).as_posix(): path for path in names}
    return Recipe(files=files, **rest)  # type: ignore[arg-type]
