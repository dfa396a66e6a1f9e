"""Options of a model and a request, checked by type, as sampling and load options."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from modelkit.model import Model
from modelkit.options import OPTIONS
from modelkit.serve.api.errors import ApiError
from modelkit.serve.types import LoadOptions, Sampling

_log = logging.getLogger(__name__)

MIN_CONTEXT = 4
MIN_VISION_CONTEXT = 2048
MAX_ANSWER_CONTEXTS = 10
"""An answer ends after this many times num_ctx tokens, whatever num_predict says."""

_NAMES = {"int": "integer", "float": "float32", "bool": "boolean", "string": "string"}


@dataclass(frozen=True)
class Options:
    """The options in force: the request's, then the model's parameters."""

    values: Mapping[str, Any]

    @classmethod
    def merge(cls, model: Model, requested: Mapping[str, Any] | None) -> "Options":
        """Check both; unknown names and nulls are ignored. Raises ApiError 400."""
        values = {}
        for name, value in {**model.parameters, **(requested or {})}.items():
            if name not in OPTIONS:
                _log.info("ignoring unknown option %r", name)
            elif value is not None:
                values[name] = _checked(name, OPTIONS[name].type, value)
        return cls(values)

    def load_options(self, model: Model, defaults: LoadOptions, shift: bool | None) -> LoadOptions:
        """How to load the model; num_ctx within what the model was trained for."""
        given = {k: v for k, v in self.values.items() if k in LoadOptions.__struct_fields__}
        num_ctx = max(given.pop("num_ctx", defaults.num_ctx), MIN_CONTEXT)
        if "vision" in model.capabilities():
            num_ctx = max(num_ctx, MIN_VISION_CONTEXT)
        trained = _trained_context(model)
        return msgspec.structs.replace(
            defaults,
            **given,
            num_ctx=min(num_ctx, trained) if trained else num_ctx,
            shift=model.config.model_family != "deepseek2" if shift is None else shift,
        )

    def sampling(self, n_ctx: int) -> Sampling:
        """How to choose tokens; the answer's length is capped by the context's."""
        given = {k: v for k, v in self.values.items() if k in Sampling.__struct_fields__}
        sampling = Sampling(**given)
        cap = MAX_ANSWER_CONTEXTS * n_ctx
        if not 0 <= sampling.num_predict <= cap:
            sampling.num_predict = cap
        return sampling


def _trained_context(model: Model) -> int:
    value = model.header.metadata.get(f"{model.header.architecture}.context_length")
    return value if isinstance(value, int) else 0


def _checked(name: str, kind: str, value: object) -> object:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "strings":
        if not isinstance(value, list):
            raise ApiError(400, f'option "{name}" must be of type array')
        if not all(isinstance(item, str) for item in value):
            raise ApiError(400, f'option "{name}" must be of an array of strings')
    elif kind == "int" and number:
        return _whole(name, value)
    elif kind == "float" and number:
        return float(value)  # type: ignore[arg-type]
    elif not isinstance(value, {"bool": bool, "string": str}.get(kind, ())):
        raise ApiError(400, f'option "{name}" must be of type {_NAMES[kind]}')
    return value


def _whole(name: str, value: Any) -> int:
    whole = int(value)
    if not -(2**31) <= whole < 2**32:
        raise ApiError(400, f'option "{name}" is out of range')
    return whole
