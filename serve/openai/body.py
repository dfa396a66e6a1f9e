"""The fields that requests share, and what they mean for the model."""

import json
from typing import Any

import msgspec

from modelkit.durations import keep_alive_seconds
from modelkit.errors import UsageError
from modelkit.serve.openai.errors import FieldError, unsupported

MOST_CHOICES = 128
_INT64 = 2**63
_EFFORTS: dict[str, bool | str] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "ultra": "max",
    "max": "max",
}
_LEVELS = ("low", "medium", "high", "max")
_SAME = ("temperature", "top_p", "frequency_penalty", "presence_penalty")


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a stream holds besides the answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ModelBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of every request; null is as good as absent.

    options, keep_alive and truncate are as in the native API and not OpenAI's; what is longer than
    the context is refused unless `truncate` is true.
    """

    model: str | None = None
    user: str | None = None
    options: dict[str, Any] | None = None
    keep_alive: Any = None
    truncate: bool | None = None

    @property
    def name(self) -> str:
        """The model's name as the client wrote it, the empty text for none."""
        return self.model or ""

    def seconds_to_live(self) -> float | None:
        """keep_alive in seconds, None when not given; raises FieldError."""
        if self.keep_alive is None:
            return None
        try:
            return keep_alive_seconds(self.keep_alive)
        except UsageError as error:
            raise FieldError("keep_alive", error.message, "invalid_value") from error


class CompletionBody(ModelBody, forbid_unknown_fields=True, kw_only=True):
    """The fields of both; `think` is as in /api/chat and not OpenAI's."""

    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    n: int | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    think: bool | str | None = None
    debug_render_only: bool | None = msgspec.field(default=None, name="_debug_render_only")

    @property
    def choices(self) -> int:
        """How many answers are wanted; raises FieldError."""
        number = 1 if self.n is None else self.n
        if not 1 <= number <= MOST_CHOICES:
            raise FieldError("n", f"'n' must be between 1 and {MOST_CHOICES}", "invalid_value")
        return number

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with the numbers; raises FieldError for what it cannot hold."""
        if self.stream_options is None:
            return False
        if self.stream_options.include_obfuscation:
            raise unsupported("stream_options.include_obfuscation")
        return bool(self.stream_options.include_usage)

    def model_options(self) -> dict[str, Any]:
        """The fields as options of the model; they win over `options`, and those over defaults."""
        given: dict[str, Any] = {name: getattr(self, name) for name in _SAME}
        given |= {
            "num_predict": self.max_tokens,
            "seed": None if self.seed is None else _seed(self.seed),
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop or None,
            "logit_bias": None if self.logit_bias is None else _biases(self.logit_bias),
        }
        wanted = {name: value for name, value in given.items() if value is not None}
        return {"temperature": 1.0, "top_p": 1.0, **(self.options or {}), **wanted}

    def check_think(self) -> None:
        """Raise FieldError for a `think` that is no level."""
        if isinstance(self.think, str) and self.think not in _LEVELS:
            raise FieldError("think", f"'think' must be a boolean or one of {', '.join(_LEVELS)}")


def effort(value: str | None, field: str) -> bool | str | None:
    """An effort of reasoning as `think`; raises FieldError."""
    if not value:
        return None
    if value not in _EFFORTS:
        text = (
            f"invalid reasoning value: {json.dumps(value, ensure_ascii=False)} (must be "
            '"minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none")'
        )
        raise FieldError(field, text, "invalid_value")
    return _EFFORTS[value]


def _seed(seed: int) -> int:
    """OpenAI's seeds have 64 bits and the engine's 32: equal seeds stay equal."""
    if not -_INT64 <= seed < _INT64:
        raise FieldError("seed", "'seed' must be a 64-bit integer", "invalid_value")
    return seed if -(2**31) <= seed < 2**31 else seed % 2**31


def _biases(biases: dict[str, float]) -> dict[str, float]:
    for token, bias in biases.items():
        if not -100 <= bias <= 100:
            text = f"'logit_bias' must be between -100 and 100, also for token {token[:20]}"
            raise FieldError("logit_bias", text, "invalid_value")
    return biases
