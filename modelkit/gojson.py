"""JSON bytes exactly as Go's encoding/json writes them: blob digests depend on it."""

import json
import math
from collections.abc import Mapping

_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
_TABLE = str.maketrans(_ESCAPES)


def dumps(value: object, *, sort_keys: bool = False) -> bytes:
    """Compact JSON; keys in the given order, or sorted as Go does with a map.

    Raises ValueError for NaN and infinities, TypeError for what JSON cannot hold.
    """
    return _encode(value, sort_keys).encode()


def escape_html(text: str) -> str:
    """Escape `<`, `>`, `&`, U+2028 and U+2029 in JSON text, where they occur only in strings."""
    return text.translate(_TABLE)


def format_float(number: float) -> str:
    """A float64 as Go's encoding/json prints it: shortest, exponent below 1e-6 and from 1e21."""
    if not math.isfinite(number):
        raise ValueError(f"JSON cannot hold {number}")
    if number == 0:
        return "-0" if math.copysign(1, number) < 0 else "0"
    digits, exponent = _shortest(abs(number))
    sign = "-" if number < 0 else ""
    if 1e-6 <= abs(number) < 1e21:
        return sign + _plain(digits, exponent)
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{_exponent_digits(exponent)}"


def _exponent_digits(exponent: int) -> str:
    # Go prints two exponent digits and encoding/json then turns e-09 into e-9.
    return str(-exponent) if exponent < 0 else f"{exponent:02d}"


def _shortest(number: float) -> tuple[str, int]:
    """Shortest round-trip decimal digits d1d2d3… and the exponent of d1.d2d3…"""
    mantissa, _, exponent = f"{number!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) if whole.strip("0") else -(len(fraction) - len(fraction.lstrip("0")))
    return digits.rstrip("0") or "0", point - 1 + int(exponent or 0)


def _plain(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    if len(digits) <= exponent + 1:
        return digits + "0" * (exponent + 1 - len(digits))
    return f"{digits[: exponent + 1]}.{digits[exponent + 1 :]}"


def _encode(value: object, sort_keys: bool) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return format_float(value)
        case str():
            return _string(value)
        case Mapping():
            items = sorted(value.items()) if sort_keys else value.items()
            return (
                "{" + ",".join(f"{_string(str(k))}:{_encode(v, sort_keys)}" for k, v in items) + "}"
            )
        case list() | tuple():
            return "[" + ",".join(_encode(item, sort_keys) for item in value) + "]"
    raise TypeError(f"JSON cannot hold a {type(value).__name__}")


def _string(text: str) -> str:
    # Go writes \b and \f short since 1.22, as Python does; DEL and non-ASCII stay as they are.
    return escape_html(json.dumps(text, ensure_ascii=False))
