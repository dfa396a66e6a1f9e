"""Go's duration text (`1h30m`, `500ms`): what keep_alive and the time settings are written in."""

import math
import re
from decimal import Decimal

from modelkit.errors import UsageError
from modelkit.settings import setting

NANOSECOND = 1
MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000

_UNITS = {
    "ns": NANOSECOND,
    "us": MICROSECOND,
    "µs": MICROSECOND,
    "μs": MICROSECOND,
    "ms": MILLISECOND,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_TERM = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([^0-9.]*)", re.ASCII)
_LIMIT = 1 << 63

FOREVER = math.inf


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration; raises UsageError with the text Go's time package gives."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total, position = 0, 0
    while position < len(rest):
        term = _TERM.match(rest, position)
        if term is None:
            raise _invalid(text)
        total += _term_nanoseconds(term[1], term[2], text)
        position = term.end()
    if not rest or total > _LIMIT - (sign > 0):
        raise _invalid(text)
    return sign * total


def keep_alive_seconds(value: object) -> float:
    """Seconds of a request's keep_alive: a number of seconds or a Go duration, negative = FOREVER.

    Raises UsageError for any other type or text.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise UsageError(f"Unsupported type: '{_go_type(value)}'")
    seconds = parse_duration(value) / SECOND if isinstance(value, str) else float(value)
    return FOREVER if seconds < 0 else seconds


def seconds_setting(name: str, default: float, *, zero_is_forever: bool = False) -> float:
    """A time from the environment: a Go duration or whole seconds; negative is FOREVER.

    Text that is neither gives the default, as in Ollama.
    """
    text = setting(name)
    if text is None:
        return default
    try:
        seconds = int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else _seconds(text)
    except UsageError:
        return default
    return FOREVER if seconds < 0 or (zero_is_forever and seconds == 0) else seconds


def _seconds(text: str) -> float:
    return parse_duration(text) / SECOND


def _term_nanoseconds(number: str, unit: str, whole: str) -> int:
    if not unit:
        raise UsageError(f'time: missing unit in duration "{whole}"')
    if unit not in _UNITS:
        raise UsageError(f'time: unknown unit "{unit}" in duration "{whole}"')
    if len(number) > 40:
        raise _invalid(whole)
    return int(Decimal(number) * _UNITS[unit])


def _invalid(text: str) -> UsageError:
    return UsageError(f'time: invalid duration "{text}"')


def _go_type(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    return "[]interface {}" if isinstance(value, list) else "map[string]interface {}"
