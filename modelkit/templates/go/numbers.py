"""Go's numbers: literals in, texts of floats out."""

import math
import re
from decimal import Decimal

_INTEGER = re.compile(r"([+-]?)(0[xX]|0[oO]|0[bB]|0(?=[0-9_])|)([0-9a-fA-F_]+)")
_BASES = {"": 10, "0": 8, "0o": 8, "0x": 16, "0b": 2}
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEXADECIMAL = re.compile(
    r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+"
)
# An underscore stands between two digits, or between a base prefix and a digit.
_STRAY = re.compile(r"(?<![0-9])_|_(?![0-9])")
_STRAY_HEXADECIMAL = re.compile(r"(?<![0-9a-fA-F])_|_(?![0-9a-fA-F])")
_COMPLEX = re.compile(r"(.*[0-9._])([+-](?:.*[^eEpP+-])?)i")


def parse_number(text: str) -> int | float | complex | None:
    """The value of a numeric literal; None for an integer between int64's and uint64's bounds.

    Raises ValueError where Go's parser does.
    """
    if text.endswith("i"):
        return _parse_complex(text)
    integer = _parse_integer(text)
    if integer is not None and integer < 1 << 64:
        if integer >= 1 << 63 and not text.startswith("+"):
            return None
        # "-0xE" has an E and no 0x at its start: Go takes it for a float.
        odd_float = text[0] in "+-" and re.search("[eEpP]", text)
        if -(1 << 63) <= integer < 1 << 63:
            return float(integer) if odd_float else integer
    number = parse_float(text)
    if not re.search(r"[.eEpP]", text):
        raise ValueError(f'integer overflow: "{text}"')
    return number


def parse_float(text: str) -> float:
    """A float64 from Go's decimal or hexadecimal form; raises ValueError for anything else."""
    digits = text.replace("_", "")
    if _underscores_fit(text):
        if _DECIMAL.fullmatch(digits):
            value = float(digits)
        elif _HEXADECIMAL.fullmatch(digits):
            value = _hexadecimal(digits)
        else:
            value = math.inf
        if math.isfinite(value):
            return value
    raise ValueError(f'illegal number syntax: "{text}"')


def _hexadecimal(digits: str) -> float:
    try:
        return float.fromhex(digits)
    except OverflowError:
        return math.inf


def _underscores_fit(text: str) -> bool:
    if "_" not in text:
        return True
    unsigned = text.lstrip("+-")
    prefix = unsigned[:2].lower()
    # The prefix counts as a digit.
    body = "0" + unsigned[2:] if prefix in ("0x", "0o", "0b") else unsigned
    return not (_STRAY_HEXADECIMAL if prefix == "0x" else _STRAY).search(body)


def _parse_integer(text: str) -> int | None:
    match = _INTEGER.fullmatch(text)
    if not match or not _underscores_fit(text):
        return None
    sign, prefix, digits = match.groups()
    try:
        value = int(digits.replace("_", ""), _BASES[prefix.lower()])
    except ValueError:
        return None
    return -value if sign == "-" else value


def _parse_complex(text: str) -> complex:
    try:
        return complex(0.0, parse_float(text[:-1]))
    except ValueError:
        match = _COMPLEX.fullmatch(text)
        if not match:
            raise
        return complex(parse_float(match[1]), parse_float(match[2]))


def format_float(value: float, verb: str, precision: int | None) -> str:
    """A float with a verb b, e, E, f, g, G, x or X; None is the shortest exact precision."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if verb == "b":
        return _binary(value)
    if verb in "xX":
        text = _hexadecimal_text(value, precision)
        return text.upper() if verb == "X" else text
    if precision is None:
        return _shortest(value, verb)
    return f"{value:.{precision}{verb}}"


def _shortest(value: float, verb: str) -> str:
    """As C's %g, but with as many digits as the value needs; the exponent decides as for six."""
    sign = "-" if math.copysign(1, value) < 0 else ""
    if value == 0:
        return sign + "0"
    _, digits, exponent = Decimal(repr(abs(value))).normalize().as_tuple()
    text = "".join(map(str, digits))
    point = len(text) + int(exponent)
    if -4 <= point - 1 < 6:
        return sign + _plain(text, point)
    mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
    letter = "e" if verb == "g" else "E"
    return f"{sign}{mantissa}{letter}{point - 1:+03d}"


def _plain(digits: str, point: int) -> str:
    if point <= 0:
        return "0." + "0" * -point + digits
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return f"{digits[:point]}.{digits[point:]}"


def _binary(value: float) -> str:
    """The mantissa as an integer and the power of two: 4503599627370496p-52."""
    sign = "-" if math.copysign(1, value) < 0 else ""
    exponent = max(math.frexp(value)[1], -1021) if value else -1021
    mantissa = int(math.ldexp(abs(value), 53 - exponent))
    return f"{sign}{mantissa}p{exponent - 53:+d}"


def _hexadecimal_text(value: float, precision: int | None) -> str:
    """0x1.8p+00, rounded half to even to `precision` digits."""
    sign = "-" if math.copysign(1, value) < 0 else ""
    fraction, exponent = math.frexp(abs(value))
    mantissa = int(math.ldexp(fraction, 53))
    if mantissa and precision is not None and precision < 13:
        shift = 52 - 4 * precision
        kept, rest = mantissa >> shift, mantissa & ((1 << shift) - 1)
        half = 1 << (shift - 1)
        kept += rest > half or (rest == half and kept & 1)
        mantissa = kept << shift
        if mantissa >> 53:
            mantissa >>= 1
            exponent += 1
    power = exponent - 1 if mantissa else 0
    digits = f"{mantissa & ((1 << 52) - 1):013x}"
    digits = digits.rstrip("0") if precision is None else digits.ljust(precision, "0")[:precision]
    return f"{sign}0x{mantissa >> 52}{'.' if digits else ''}{digits}p{power:+03d}"
