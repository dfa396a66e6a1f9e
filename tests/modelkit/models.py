"""Small stored models for the tests that look at them."""

from pathlib import Path

from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.manifest import Descriptor, Manifest, MediaType, ModelConfig
from modelkit.model import Model
from modelkit.names import ModelName
from modelkit.store import Store
from tests.modelkit.gguf_files import write_gguf

NAME = ModelName.parse("test")
LLAMA: dict[str, object] = {
    "general.architecture": "llama",
    "general.name": "secret",
    "general.file_type": 1,
    "llama.block_count": 1,
    "llama.context_length": 2048,
    "llama.embedding_length": 64,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
}
BERT: dict[str, object] = {"general.architecture": "bert", "bert.pooling_type": 1}
JINJA = {"tokenizer.chat_template": "{{ messages }}"}
TENSORS = {"token_embd.weight": (64, 3), "output_norm.weight": (64,)}


def make(store: Store, folder: Path, metadata: dict[str, object], **rest: object) -> Model:
    """Build a model from a GGUF with this metadata."""
    path = write_gguf(folder / "weights.gguf", metadata, TENSORS)
    build(Recipe(files={"weights.gguf": path}, **rest), NAME, store)  # type: ignore[arg-type]
    return Model.open(store, NAME)


def stored(store: Store, config: ModelConfig, *layers: tuple[str, bytes]) -> Model:
    """Write a model of hand-made layers."""
    with store.lease():
        manifest = Manifest.new(
            _layer(store, MediaType.CONFIG, config.to_json()),
            [_layer(store, kind, data) for kind, data in layers],
        )
        store.write_manifest(NAME, manifest)
    return Model.open(store, NAME)


def _layer(store: Store, media_type: str, data: bytes) -> Descriptor:
    return Descriptor(media_type, store.add_bytes(data), len(data))
