"""How large a text, a list or a number a step of a Jinja template would make, before it does."""

import math
import re
from collections.abc import Iterator
from typing import Any

from jinja2.exceptions import SecurityError
from jinja2.utils import Namespace

from modelkit.templates import TemplateError

MAX_TEXT = 16 << 20
"""Characters of one text, and items of one list."""
MAX_BITS = 1 << 20
"""Binary digits of a whole number."""


def size_of(value: object) -> int:
    """A number counts as itself, a text or a list by its length; -1 for anything else."""
    if isinstance(value, int):
        return abs(value)
    return len(value) if isinstance(value, str | bytes | list | tuple | dict) else -1


def concrete(value: object) -> object:
    """What `map` and `select` give as a list: an iterator has no size."""
    return list(value) if isinstance(value, Iterator) else value


def printed_size(*values: object) -> float:
    """About how many characters the values are as text; stops counting beyond MAX_TEXT."""
    size, waiting = 0, list(values)
    while waiting and size <= MAX_TEXT:
        value = waiting.pop()
        if isinstance(value, Namespace):
            raise SecurityError("a namespace cannot be printed")
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += value
        size += len(value) if isinstance(value, str | bytes) else 8
    return size


def product_size(*values: object) -> float:
    """How large a result of these may be: the two largest sizes multiplied, and all texts."""
    sizes = sorted((max(size_of(value), 1) for value in values), reverse=True)
    items = next((value for value in values if isinstance(value, list | tuple)), ())
    return printed_size(items) + math.prod(sizes[:2])


def replacement_size(*values: object) -> float:
    """How large a text is after a replacement: (text, old, new)."""
    if len(values) < 3 or not all(isinstance(value, str) for value in values[:3]):
        return 0
    text, old, new = map(str, values[:3])
    return len(text) + text.count(old) * len(new)


def format_size(*values: object) -> float:
    """How large a formatted text may be: what the format says in digits, and numbers given."""
    form = str(values[0]) if values else ""
    widths = sum(int(digits[:12]) for digits in re.findall(r"\d+", form))
    given = sum(max(size_of(value), printed_size(value)) for value in values[1:])
    return len(form) + widths + given * (form.count("{") + form.count("*") + form.count("%"))


def operator_size(operator: str, left: Any, right: Any) -> float:
    """How large the result of an operator may be; raises TemplateError for too large a number."""
    sized = (str, bytes, list, tuple)
    if isinstance(left, int) and isinstance(right, int):
        return _integer_size(operator, left, right)
    if operator == "*" and isinstance(left, int) and isinstance(right, sized):
        return left * len(right)
    if operator == "*" and isinstance(left, sized) and isinstance(right, int):
        return len(left) * right
    if operator == "+" and isinstance(left, sized) and isinstance(right, sized):
        return len(left) + len(right)
    if operator == "%" and isinstance(left, str) and "%" in left:
        return format_size(left, *(right if isinstance(right, tuple) else (right,)))
    return 0


def _integer_size(operator: str, left: int, right: int) -> float:
    bits = left.bit_length() * right if operator == "**" else left.bit_length() + right.bit_length()
    if bits > MAX_BITS:
        raise TemplateError("the model's chat template makes too large a number")
    return 0
