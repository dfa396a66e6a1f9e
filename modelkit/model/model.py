"""A model in the store, as people and APIs look at it."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from modelkit.digest import Digest
from modelkit.errors import BlobNotFound, GGUFError, ManifestError, StoreError
from modelkit.gguf import GGUFHeader, read_header
from modelkit.manifest import Descriptor, Manifest, MediaType, ModelConfig
from modelkit.model.capabilities import capabilities
from modelkit.model.contents import read_messages, read_parameters, read_text
from modelkit.model.traits import file_type
from modelkit.names import ModelName
from modelkit.store import Store

PLAIN_TEMPLATE = "{{ .Prompt }}"
"""What writes the prompts of a model that has no template of any kind."""


@dataclass(frozen=True)
class Model:
    """A stored model. What is read from disk is read when first asked for, and then kept."""

    store: Store
    name: ModelName
    manifest: Manifest
    config: ModelConfig

    @classmethod
    def open(cls, store: Store, name: ModelName) -> "Model":
        """Look a model up, in any case of its name.

        Raises ModelNotFound, ManifestError, or BlobNotFound when its config is gone.
        """
        name = store.resolve(name)
        manifest = store.manifest(name)
        if manifest.config is None:
            raise ManifestError(f"{name} is not a model: its manifest has no config")
        config = ModelConfig.parse(store.read_blob(manifest.config.digest))
        return cls(store, name, manifest, config)

    @property
    def digest(self) -> Digest:
        """The manifest's digest: the model's identity."""
        return self.manifest.digest

    @property
    def size(self) -> int:
        """Bytes of all layers and the config."""
        return self.manifest.size

    @property
    def gguf_path(self) -> Path:
        """The weights; raises StoreError for a model that has none in GGUF."""
        layer = self._last(MediaType.MODEL)
        if layer is None:
            raise StoreError(
                f"{self.name} has no GGUF weights", hint="build it again from GGUF or safetensors"
            )
        return self.store.blob_path(layer.digest)

    @cached_property
    def header(self) -> GGUFHeader:
        """The weights' GGUF header without its arrays; raises BlobNotFound, GGUFError."""
        return self.read_header()

    def read_header(self, *, arrays: bool = False) -> GGUFHeader:
        """The weights' GGUF header; raises BlobNotFound, GGUFError, StoreError."""
        path = self.gguf_path
        if not path.is_file():
            raise BlobNotFound(Digest.parse(path.name))
        return read_header(path) if arrays else _stored_header(path)

    @cached_property
    def adapters(self) -> list[Path]:
        """The LoRA adapters, in order."""
        return self._paths(MediaType.ADAPTER)

    @cached_property
    def projectors(self) -> list[Path]:
        """The vision and audio projectors, in order."""
        return self._paths(MediaType.PROJECTOR)

    @cached_property
    def drafts(self) -> list[Path]:
        """The draft models."""
        return self._paths(MediaType.DRAFT)

    @cached_property
    def template(self) -> str | None:
        """The text of TEMPLATE; None when the model has none."""
        return self._text(MediaType.TEMPLATE, MediaType.PROMPT)

    @cached_property
    def chat_templates(self) -> dict[str, str]:
        """The Jinja chat templates inside the GGUF, by name; `default` is the usual one."""
        from modelkit.templates.choice import named_templates

        header = self._readable_header()
        return {} if header is None else named_templates(header.metadata)

    @cached_property
    def go_template(self) -> str | None:
        """The Go template that writes the prompts; None when the GGUF's chat template does."""
        from modelkit.templates.choice import uses_go

        if not uses_go(self.config, self.template, self.chat_templates.get("default")):
            return None
        return PLAIN_TEMPLATE if self.template is None else self.template

    @cached_property
    def system(self) -> str | None:
        """The system text."""
        return self._text(MediaType.SYSTEM)

    @cached_property
    def licenses(self) -> list[str]:
        """The licence texts."""
        layers = self.manifest.layers_of(MediaType.LICENSE)
        return [read_text(self.store, layer) for layer in layers]

    @cached_property
    def parameters(self) -> dict[str, object]:
        """The option values of PARAMETER instructions."""
        return read_parameters(self.store, self.manifest.layers_of(MediaType.PARAMS))

    @cached_property
    def messages(self) -> list[tuple[str, str]]:
        """The stored conversation as (role, content) pairs."""
        layer = self._last(MediaType.MESSAGES)
        stored = [] if layer is None else read_messages(self.store, layer)
        return [(str(item.get("role", "")), str(item.get("content", ""))) for item in stored]

    def capabilities(self) -> list[str]:
        """completion, embedding, tools, thinking, vision …; the same wherever they are shown."""
        return [*self._capabilities]

    @cached_property
    def _capabilities(self) -> list[str]:
        projectors = [_stored_header(path) for path in self.projectors if path.is_file()]
        return capabilities(self.config, self._readable_header(), projectors, self.template)

    def details(self, *, lengths: bool = False) -> dict[str, Any]:
        """The `details` object of the API; `lengths` adds context and embedding length."""
        config, layer = self.config, self._last(MediaType.MODEL)
        details: dict[str, Any] = {
            "parent_model": (layer.from_ or "") if layer else "",
            "format": config.model_format,
            "family": config.model_family,
            "families": list(config.model_families) if config.model_families else None,
            "parameter_size": config.model_type,
            "quantization_level": self._quantization(),
        }
        return details | (self._lengths() if lengths else {})

    def _quantization(self) -> str:
        """The config's file type; an unknown one is looked up in the weights."""
        if self.config.file_type not in ("", "unknown"):
            return self.config.file_type
        header = self._readable_header()
        return self.config.file_type if header is None else file_type(header)

    def _lengths(self) -> dict[str, int]:
        header = self._readable_header()
        found = {}
        for key in ("context_length", "embedding_length"):
            value = getattr(self.config, key)
            if not value and header is not None:
                value = header.metadata.get(f"{header.architecture}.{key}")
            if isinstance(value, int) and value > 0:
                found[key] = value
        return found

    def _readable_header(self) -> GGUFHeader | None:
        try:
            return self.header
        except (BlobNotFound, GGUFError, StoreError):
            return None

    def _last(self, *media_types: str) -> Descriptor | None:
        return next(iter(self.manifest.layers_of(*media_types)[::-1]), None)

    def _text(self, *media_types: str) -> str | None:
        layer = self._last(*media_types)
        return None if layer is None else read_text(self.store, layer)

    def _paths(self, media_type: str) -> list[Path]:
        return [self.store.blob_path(item.digest) for item in self.manifest.layers_of(media_type)]


@lru_cache(maxsize=256)
def _stored_header(path: Path) -> GGUFHeader:
    # A blob never changes under its name, so what was read once holds for the process's life.
    return read_header(path, arrays=False)
