"""Options of a model and a request, checked by type, as sampling and load options."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
from quart import after_this_request
from quart.typing import ResponseTypes

from modelkit.model import Model
from modelkit.options import EXTRA_OPTIONS, OPTIONS, Option
from modelkit.serve.api.errors import ApiError
from modelkit.serve.types import LoadOptions, Sampling

_log = logging.getLogger(__name__)

MIN_CONTEXT = 4
MIN_VISION_CONTEXT = 2048
MAX_ANSWER_CONTEXTS = 10
"""An answer ends after this many times num_ctx tokens, whatever num_predict says."""

IGNORED_HEADER = "X-Modelkit-Ignored-Options"
"""Where an answer names the options that nobody knows, percent-encoded, commas between."""

_KNOWN = {**OPTIONS, **EXTRA_OPTIONS}
_NAMES = {"int": "integer", "float": "float32", "bool": "boolean", "string": "string"}
_FLOAT32_MAX = 3.4028234663852886e38
_MOST_IGNORED = 32
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Options:
    """The options in force: the request's, then the model's parameters; and what is unknown."""

    values: Mapping[str, Any]
    ignored: tuple[str, ...] = ()

    @classmethod
    def merge(cls, model: Model, requested: Mapping[str, Any] | None) -> "Options":
        """Check both; unknown names and nulls are ignored. Raises ApiError 400."""
        given = {**model.parameters, **(requested or {})}
        values = {
            name: _checked(_KNOWN[name], value)
            for name, value in given.items()
            if name in _KNOWN and value is not None
        }
        return cls(values, tuple(name for name in given if name not in _KNOWN))

    def report_ignored(self) -> None:
        """Name unknown options in the log and in a header of the answer to this request."""
        if not self.ignored:
            return
        names = ", ".join(quote(name[:_LONGEST_NAME]) for name in self.ignored[:_MOST_IGNORED])
        _log.info("ignoring unknown options: %s", names)

        @after_this_request
        async def name_them(response: ResponseTypes) -> ResponseTypes:
            response.headers[IGNORED_HEADER] = names
            return response

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
            automatic=defaults.automatic - self.values.keys(),
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


def _checked(option: Option, value: object) -> object:
    name = option.name
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if option.type == "strings":
        return _strings(name, value)
    if option.type == "biases":
        return _biases(name, value)
    if option.type == "int" and number:
        return _bounded(option, _whole(name, value))
    if option.type == "float" and number:
        return _bounded(option, _single(name, value))
    if not isinstance(value, {"bool": bool, "string": str}.get(option.type, ())):
        raise ApiError(400, f'option "{name}" must be of type {_NAMES[option.type]}')
    return value


def _strings(name: str, value: object) -> list[str]:
    if not isinstance(value, list):
        raise ApiError(400, f'option "{name}" must be of type array')
    if not all(isinstance(item, str) for item in value):
        raise ApiError(400, f'option "{name}" must be of an array of strings')
    return value


def _biases(name: str, value: object) -> dict[int, float]:
    """Numbers by token id; the ids are text, as JSON's keys always are."""
    if not isinstance(value, dict):
        raise ApiError(400, f'option "{name}" must be an object of token ids and numbers')
    biases = {}
    for token, bias in value.items():
        if not (token.isascii() and token.isdigit() and len(token) < 10):
            raise ApiError(400, f'option "{name}" names a token that is no id: "{token[:20]}"')
        if isinstance(bias, bool) or not isinstance(bias, int | float):
            raise ApiError(400, f'option "{name}" must have a number for token {token}')
        biases[int(token)] = _single(name, bias)
    return biases


def _bounded(option: Option, value: float) -> float:
    if option.low <= value <= option.high:
        return value
    span = f"at least {option.low:g}"
    if option.high < math.inf:
        span = f"between {option.low:g} and {option.high:g}"
    raise ApiError(400, f'option "{option.name}" must be {span}')


def _whole(name: str, value: Any) -> int:
    if not -(2**31) <= value < 2**32:
        raise _out_of_range(name)
    return int(value)


def _single(name: str, value: Any) -> float:
    if not abs(value) <= _FLOAT32_MAX:
        raise _out_of_range(name)
    return float(value)


def _out_of_range(name: str) -> ApiError:
    return ApiError(400, f'option "{name}" is out of range')
