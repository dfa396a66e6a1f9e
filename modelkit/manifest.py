"""Manifests, descriptors and the config blob, in Ollama's bytes and in OCI's form."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from modelkit import gojson
from modelkit.digest import Digest
from modelkit.errors import InvalidDigest, ManifestError

MAX_MANIFEST_SIZE = 4 * 1024 * 1024


class MediaType:
    """The media types of manifests, configs and layers."""

    MODEL = "application/vnd.ollama.image.model"
    ADAPTER = "application/vnd.ollama.image.adapter"
    PROJECTOR = "application/vnd.ollama.image.projector"
    DRAFT = "application/vnd.ollama.image.draft"
    TEMPLATE = "application/vnd.ollama.image.template"
    PROMPT = "application/vnd.ollama.image.prompt"
    SYSTEM = "application/vnd.ollama.image.system"
    PARAMS = "application/vnd.ollama.image.params"
    MESSAGES = "application/vnd.ollama.image.messages"
    LICENSE = "application/vnd.ollama.image.license"
    EMBED = "application/vnd.ollama.image.embed"
    TENSOR = "application/vnd.ollama.image.tensor"
    JSON = "application/vnd.ollama.image.json"
    CONFIG = "application/vnd.docker.container.image.v1+json"
    MANIFEST_V2 = "application/vnd.docker.distribution.manifest.v2+json"
    MANIFEST_LIST_V2 = "application/vnd.docker.distribution.manifest.list.v2+json"
    OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
    OCI_INDEX = "application/vnd.oci.image.index.v1+json"
    OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
    OCI_EMPTY = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True)
class Descriptor:
    """What a manifest says of one blob: its type, digest and size in bytes.

    `from_` is Ollama's note of the source (a file name or a base model), `name` the tensor's or
    file's name in tensor-style models.
    """

    media_type: str
    digest: Digest
    size: int
    from_: str | None = None
    name: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str | None = None

    @classmethod
    def parse(cls, value: object) -> "Descriptor":
        """Check a JSON object; raises ManifestError."""
        if not isinstance(value, dict):
            raise ManifestError("invalid manifest: a descriptor is not an object")
        size = value.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ManifestError(f"invalid manifest: {size!r} is not a blob size")
        return cls(
            media_type=_text(value, "mediaType"),
            digest=_digest(value.get("digest")),
            size=size,
            from_=_optional_text(value, "from"),
            name=_optional_text(value, "name"),
            annotations=_annotations(value),
            artifact_type=_optional_text(value, "artifactType"),
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON object, keys in the order Ollama writes them, OCI's own keys last."""
        optional = {
            "from": self.from_,
            "name": self.name,
            "artifactType": self.artifact_type,
            "annotations": dict(self.annotations),
        }
        return {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
            **{key: value for key, value in optional.items() if value},
        }


@dataclass(frozen=True)
class Manifest:
    """A manifest and the exact bytes it was read from or will be written as.

    The digest is taken over `raw`, so what a registry sent stays what was signed. An index
    (`manifests` instead of `layers`) has no config; its children are in `manifests`.
    """

    media_type: str
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    raw: bytes = field(repr=False)
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: bytes) -> "Manifest":
        """Read any of the four manifest forms; raises ManifestError for anything else."""
        value = _load_object(raw, "manifest")
        if value.get("schemaVersion") != 2:
            raise ManifestError(
                f"invalid manifest: schemaVersion {value.get('schemaVersion')!r}, expected 2"
            )
        config, subject = value.get("config"), value.get("subject")
        return cls(
            media_type=_optional_text(value, "mediaType") or _implied_media_type(value),
            config=None if config is None else Descriptor.parse(config),
            layers=_descriptors(value, "layers"),
            manifests=_descriptors(value, "manifests"),
            subject=None if subject is None else Descriptor.parse(subject),
            artifact_type=_optional_text(value, "artifactType"),
            annotations=_annotations(value),
            raw=raw,
        )

    @classmethod
    def new(cls, config: Descriptor, layers: list[Descriptor]) -> "Manifest":
        """A model's manifest in the bytes Ollama writes (compact JSON and a newline)."""
        value = {
            "schemaVersion": 2,
            "mediaType": MediaType.MANIFEST_V2,
            "config": config.to_json(),
            "layers": [layer.to_json() for layer in layers] or None,
        }
        raw = gojson.dumps(value) + b"\n"
        return cls(MediaType.MANIFEST_V2, config, tuple(layers), raw)

    @property
    def digest(self) -> Digest:
        """The digest of the exact bytes."""
        return Digest.of(self.raw)

    @property
    def size(self) -> int:
        """Bytes of the config and all layers."""
        return sum(descriptor.size for descriptor in self.descriptors())

    def descriptors(self) -> tuple[Descriptor, ...]:
        """The config, then the layers: every blob a model needs."""
        return (() if self.config is None else (self.config,)) + self.layers

    def layers_of(self, *media_types: str) -> list[Descriptor]:
        """The layers of these types, in order."""
        return [layer for layer in self.layers if layer.media_type in media_types]


@dataclass(frozen=True)
class ModelConfig:
    """The config blob: what a model is, in the key order Ollama writes."""

    model_format: str = "gguf"
    model_family: str = ""
    model_families: tuple[str, ...] | None = None
    model_type: str = ""
    file_type: str = ""
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    remote_host: str = ""
    remote_model: str = ""
    capabilities: tuple[str, ...] = ()
    context_length: int = 0
    embedding_length: int = 0
    base_name: str = ""
    draft: Mapping[str, Any] | None = None

    _ALWAYS = ("model_format", "model_family", "model_families", "model_type", "file_type")

    @classmethod
    def parse(cls, raw: bytes) -> "ModelConfig":
        """Read a config blob; unknown keys (older releases wrote `rootfs`) are ignored."""
        value = _load_object(raw, "model config")
        known: dict[str, Any] = {}
        for item in fields(cls):
            given = value.get(item.name)
            if given is not None:
                known[item.name] = _config_value(item.name, given)
        return cls(**known)

    def to_json(self) -> bytes:
        """The blob's bytes: fixed platform, no timestamps, so equal inputs give equal digests."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        written = {key: value for key, value in values.items() if key in self._ALWAYS or value}
        return gojson.dumps({**written, "architecture": "amd64", "os": "linux"}) + b"\n"


def _config_value(key: str, value: object) -> object:
    if key in ("model_families", "capabilities"):
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
    elif isinstance(
        value, {"context_length": int, "embedding_length": int, "draft": dict}.get(key, str)
    ):
        return value
    raise ManifestError(f"invalid model config: {key} is {value!r:.80}")


def _load_object(raw: bytes, what: str) -> dict[str, Any]:
    if len(raw) > MAX_MANIFEST_SIZE:
        raise ManifestError(f"invalid {what}: {len(raw)} bytes, more than {MAX_MANIFEST_SIZE}")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"invalid {what}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ManifestError(f"invalid {what}: not a JSON object")
    return value


def _implied_media_type(value: Mapping[str, Any]) -> str:
    return MediaType.OCI_INDEX if "manifests" in value else MediaType.OCI_MANIFEST


def _descriptors(value: Mapping[str, Any], key: str) -> tuple[Descriptor, ...]:
    items = value.get(key) or []
    if not isinstance(items, list):
        raise ManifestError(f"invalid manifest: {key} is not a list")
    return tuple(Descriptor.parse(item) for item in items)


def _digest(value: object) -> Digest:
    if not isinstance(value, str):
        raise ManifestError("invalid manifest: a descriptor has no digest")
    try:
        return Digest.parse(value)
    except InvalidDigest:
        raise ManifestError(f"invalid manifest: {value[:80]!r} is not a sha256 digest") from None


def _text(value: Mapping[str, Any], key: str) -> str:
    text = value.get(key)
    if not isinstance(text, str):
        raise ManifestError(f"invalid manifest: {key} is missing or not a string")
    return text


def _optional_text(value: Mapping[str, Any], key: str) -> str | None:
    return None if value.get(key) is None else _text(value, key)


def _annotations(value: Mapping[str, Any]) -> Mapping[str, str]:
    given = value.get("annotations") or {}
    if not isinstance(given, dict) or not all(isinstance(text, str) for text in given.values()):
        raise ManifestError("invalid manifest: annotations are not strings")
    return given
