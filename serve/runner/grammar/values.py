"""JSON schema keywords whose values are plain data: their checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelkit.errors import UsageError

TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})

# Beyond this, 64-bit floats, which llguidance and many readers of JSON use, lack some integers.
MAX_INTEGER = 2**53 - 1
# The only control characters that are written with a short escape, and so can appear at all.
_WRITABLE = frozenset("\b\f\n\r\t")


def malformed(pointer: str, problem: str) -> UsageError:
    """A keyword whose value has the wrong form."""
    return UsageError(f"invalid JSON schema at {pointer}: {problem}")


def _type(value: Any, pointer: str) -> None:
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name in TYPES for name in names):
        raise malformed(pointer, f"expected one or more of {', '.join(sorted(TYPES))}")


def _const(value: Any, pointer: str) -> None:
    match value:
        case str():
            if any((c < " " and c not in _WRITABLE) or c == "\x7f" for c in value):
                raise malformed(pointer, "control characters cannot be enforced")
        case bool() | None:
            return
        case int() | float():
            _number(value, pointer)
        case list():
            for item in value:
                _const(item, pointer)
        case dict():
            for key, item in value.items():
                _const(key, pointer)
                _const(item, pointer)


def _enum(value: Any, pointer: str) -> None:
    if not isinstance(value, list) or not value:
        raise malformed(pointer, "a list with at least one value is expected")
    _const(value, pointer)


def _number(value: Any, pointer: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise malformed(pointer, "a number is expected")
    if not abs(value) <= MAX_INTEGER:
        raise malformed(pointer, f"numbers above {MAX_INTEGER} cannot be enforced exactly")


def _multiple(value: Any, pointer: str) -> None:
    _number(value, pointer)
    if value <= 0:
        raise malformed(pointer, "a number above 0 is expected")


def _count(value: Any, pointer: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise malformed(pointer, "a count is expected")


def _required(value: Any, pointer: str) -> None:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise malformed(pointer, "a list of property names is expected")
    if len(set(value)) < len(value):
        raise malformed(pointer, "a property name is listed twice")


def _keyword(name: str, check: Callable[[Any, str], None]) -> Callable[[Any, str], dict[str, Any]]:
    def checked(value: Any, pointer: str) -> dict[str, Any]:
        check(value, pointer)
        return {name: value}

    return checked


_RULES: dict[str, Callable[[Any, str], None]] = {
    "const": _const,
    "enum": _enum,
    "exclusiveMaximum": _number,
    "exclusiveMinimum": _number,
    "maxItems": _count,
    "maxLength": _count,
    "maxProperties": _count,
    "maximum": _number,
    "minItems": _count,
    "minLength": _count,
    "minProperties": _count,
    "minimum": _number,
    "multipleOf": _multiple,
    "required": _required,
    "type": _type,
}

# Each raises UsageError or returns its keyword as it is.
CHECKS = {name: _keyword(name, check) for name, check in _RULES.items()}
