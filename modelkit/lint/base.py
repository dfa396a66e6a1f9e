"""What is known about the model that FROM names: its weights' header, or the stored model."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from modelkit.compiler.sources import exists, expand_path, looks_like_path
from modelkit.errors import ModelkitError

_MAX_CONFIG_BYTES = 1 << 20


@dataclass(frozen=True)
class Base:
    """The base of a Modelfile, as far as this machine knows it.

    `context_length` is in tokens. `parameters` are those that a stored model hands down; they are
    None for a model that is not in the store.
    """

    is_weights: bool
    context_length: int | None = None
    parameters: Mapping[str, object] | None = field(default_factory=dict)
    has_license: bool = False


def find_base(value: str, folder: Path) -> Base:
    """The base that `FROM value` means in `folder`; never raises."""
    with suppress(ModelkitError, OSError, ValueError):
        path = expand_path(value, folder)
        if exists(path):
            return Base(is_weights=True, context_length=_trained_length(path))
        if looks_like_path(value):
            return Base(is_weights=True)
        return _stored(value)
    return Base(is_weights=False, parameters=None)


def _stored(value: str) -> Base:
    from modelkit.model import Model
    from modelkit.names import ModelName
    from modelkit.store import Store

    model = Model.open(Store.default(), ModelName.parse(value))
    length = model.details(lengths=True).get("context_length")
    return Base(False, _positive(length), model.parameters, bool(model.licenses))


def _trained_length(path: Path) -> int | None:
    """The context length in the weights; regular files only, a pipe would never end."""
    if path.is_dir():
        file = path / "config.json"
        if file.is_file():
            return _config_length(file)
        path = next(iter(sorted(path.glob("*.gguf"))), path)
    return _gguf_length(path) if path.is_file() else None


def _gguf_length(path: Path) -> int | None:
    from modelkit.gguf import read_header

    header = read_header(path, arrays=False)
    return _positive(header.metadata.get(f"{header.architecture}.context_length"))


def _config_length(file: Path) -> int | None:
    with file.open("rb") as stream:
        config = json.loads(stream.read(_MAX_CONFIG_BYTES))
    return _positive(config.get("max_position_embeddings")) if isinstance(config, dict) else None


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
