"""Whether answers are valid by the jsonschema package, which knows nothing of our grammars."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any

import jsonschema

FORMATS = jsonschema.FormatChecker()
"""The package's checks, and those that it leaves to other packages or makes too lightly."""

_DIGITS = 10_000
"""Of the longest quotient: a model of random weights writes long numbers."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_TIME_PART = r"T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S)"
_DATE_PART = r"(?:\d+Y(?:\d+M(?:\d+D)?)?|\d+M(?:\d+D)?|\d+D)"
_DURATION = re.compile(rf"P(?:{_DATE_PART}(?:{_TIME_PART})?|{_TIME_PART}|\d+W)", re.ASCII)
_PERCENT = "%[0-9A-Fa-f]{2}"
_PATH = rf"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|{_PERCENT})*"
_QUERY = rf"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|{_PERCENT})*"
_HOST = rf"(?:\[[0-9A-Fa-fv.:~_-]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|{_PERCENT})*)"
_USER = rf"(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|{_PERCENT})*@)?"
_URI = re.compile(
    rf"[A-Za-z][A-Za-z0-9+.-]*:(?://{_USER}{_HOST}(?::[0-9]*)?(?:/{_PATH})?|(?!//){_PATH})"
    rf"(?:\?{_QUERY})?(?:#{_QUERY})?"
)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_QUOTED = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
_EMAIL = re.compile(rf"(?:{_ATOM}(?:\.{_ATOM})*|{_QUOTED})@(?:{_HOSTNAME.pattern}|\[[!-Z^-~]+\])")


@FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or _is_date_time(f"2024-01-01T{value}")


@FORMATS.checks("hostname")
def _is_hostname(value: object) -> bool:
    return not isinstance(value, str) or (len(value) < 254 and bool(_HOSTNAME.fullmatch(value)))


for _name, _expression in (("duration", _DURATION), ("uri", _URI), ("email", _EMAIL)):

    @FORMATS.checks(_name)
    def _matches(value: object, expression: re.Pattern[str] = _expression) -> bool:
        return not isinstance(value, str) or bool(expression.fullmatch(value))


class Judge:
    """Judges the answers to one schema."""

    def __init__(self, schema: Any) -> None:
        exact = _parsed(json.dumps(schema), last=True)
        kind = jsonschema.validators.validator_for(exact, jsonschema.Draft202012Validator)
        self._validator = kind(exact, format_checker=FORMATS)

    def fault(self, answer: str | bytes) -> str:
        """What is wrong with the answer; empty when nothing is.

        Readers of JSON take the first or the last of two equal keys: it must be right for both.
        """
        try:
            readings = [_parsed(answer, last=last) for last in (True, False)]
        except ValueError as error:
            return f"no JSON: {error}"
        with localcontext() as context:
            context.prec = _DIGITS
            return next((fault.message for fault in self._faults(readings)), "")

    def _faults(self, readings: list[Any]) -> Iterator[jsonschema.ValidationError]:
        for reading in readings:
            yield from self._validator.iter_errors(reading)


def _parsed(text: str | bytes, *, last: bool) -> Any:
    """JSON with decimal fractions, in which multipleOf can be checked."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(items if last else reversed(items))

    return json.loads(text, parse_float=_number, object_pairs_hook=pairs)


def _number(text: str) -> Decimal | float:
    try:
        return Decimal(text)
    except InvalidOperation:
        return float(text)  # its exponent is out of all bounds: infinite, or zero
