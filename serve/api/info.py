"""The `info` of /api/create: what a model is, said by hand."""

from collections.abc import Mapping
from typing import Any

from modelkit.serve.api.errors import ApiError

_TEXTS = {
    "model_family": "model_family",
    "base_name": "base_name",
    "quantization_level": "file_type",
    "parameter_size": "model_type",
}
_LENGTHS = ("context_length", "embedding_length")


def config_of(info: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of the config that `info` sets; raises ApiError 400 for a value of another type."""
    config: dict[str, Any] = {}
    for key, name in _TEXTS.items():
        if (text := info.get(key)) is not None:
            config[name] = _text(key, text)
    for key in _LENGTHS:
        if (number := info.get(key)) is not None:
            config[key] = _length(key, number)
    if (capabilities := info.get("capabilities")) is not None:
        config["capabilities"] = _texts("capabilities", capabilities)
    if family := config.get("model_family"):
        config["model_families"] = (family,)
    return config


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ApiError(400, f'info field "{key}" must be a string')
    return value


def _texts(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ApiError(400, f'info field "{key}" must be a list of strings')
    return tuple(value)


def _length(key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ApiError(400, f'info field "{key}" must be a number')
    if value < 0 or value != int(value) or value >= 2**63:
        raise ApiError(400, f'info field "{key}" must be a non-negative integer')
    return int(value)
