"""Typed access to config.json: defaults for what a sparse file leaves out, errors for nonsense."""

import math
from collections.abc import Mapping

from modelkit.convert.shown import shown
from modelkit.errors import ConvertError

MAX_INTEGER = (1 << 31) - 1
MAX_NUMBER = 3.4e38  # what float32 can hold


class Config:
    """The values of a model's config.json, with the defaults of its model type.

    Raises ConvertError, naming the key, for a missing or unusable value.
    """

    def __init__(
        self, values: Mapping[str, object], defaults: Mapping[str, object] | None = None
    ) -> None:
        self._values = values
        self._defaults = defaults or {}

    def with_defaults(self, defaults: Mapping[str, object]) -> "Config":
        return Config(self._values, defaults)

    def get(self, key: str) -> object:
        """The value, or its default; null counts as absent."""
        value = self._values.get(key)
        return self._defaults.get(key) if value is None else value

    def integer(self, key: str) -> int:
        """A positive integer."""
        value = self.get(key)
        if type(value) is not int or not 0 < value <= MAX_INTEGER:
            raise _unusable(key, value, "a positive integer")
        return value

    def optional_integer(self, key: str) -> int | None:
        return None if self.get(key) is None else self.integer(key)

    def number(self, key: str) -> float:
        """A number that float32 can hold."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _unusable(key, value, "a number")
        try:
            result = float(value)
        except OverflowError:
            result = math.inf
        if not abs(result) <= MAX_NUMBER:
            raise _unusable(key, value, "a finite number")
        return result

    def boolean(self, key: str) -> bool:
        value = self.get(key)
        if not isinstance(value, bool):
            raise _unusable(key, value, "true or false")
        return value

    def section(self, key: str) -> "Config":
        """A nested object; an absent one is empty."""
        value = self.get(key)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise _unusable(key, value, "an object")
        return Config(value)

    def require(self, key: str, *allowed: object) -> None:
        """Refuse a value other than these, because the engine would ignore it."""
        value = self.get(key)
        if value not in allowed:
            raise ConvertError(
                f"config.json: {key} is {shown(value)}, which is not supported",
                hint=f"supported: {', '.join(shown(item) for item in allowed)}",
            )


def _unusable(key: str, value: object, wanted: str) -> ConvertError:
    found = "missing" if value is None else f"{shown(value)}, not {wanted}"
    return ConvertError(f"config.json: {key} is {found}")
