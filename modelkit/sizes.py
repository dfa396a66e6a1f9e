"""Sizes in bytes as people write them: `512MB`, `2 GiB`, `0`."""

import re
from decimal import Decimal

from modelkit.errors import UsageError
from modelkit.settings import setting

_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?) *([kmgt]?)(i?)b?", re.ASCII | re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """Whole bytes of a number with an optional unit, KB = 1000 and KiB = 1024 bytes.

    Raises UsageError for anything else.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise UsageError(f"invalid size {text!r}", hint="write bytes, 512MB or 2GiB")
    base = 1024 if match[3] else 1000
    return int(Decimal(match[1]) * base ** _POWERS[match[2].lower()])


def size_setting(name: str, default: int) -> int:
    """A size from the environment; raises UsageError that names the variable."""
    text = setting(name)
    if text is None:
        return default
    try:
        return parse_size(text)
    except UsageError as error:
        raise UsageError(f"MODELKIT_{name}: {error.message}", hint=error.hint) from error
