"""Go durations, keep_alive values and time settings."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.durations import (
    FOREVER,
    SECOND,
    keep_alive_seconds,
    parse_duration,
    seconds_setting,
)
from modelkit.errors import UsageError


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("5m", 300 * SECOND),
        ("1h30m", 5400 * SECOND),
        ("500ms", SECOND // 2),
        ("1.5s", 3 * SECOND // 2),
        (".5s", SECOND // 2),
        ("2.s", 2 * SECOND),
        ("-1m", -60 * SECOND),
        ("+3s", 3 * SECOND),
        ("-0", 0),
        ("7ns", 7),
        ("1us", 1_000),
        ("1µs", 1_000),
        ("1μs", 1_000),
        ("0.3333333333333333333h", 1_200_000_000_000 - 1),
        ("9223372036854775807ns", (1 << 63) - 1),
        ("-9223372036854775808ns", -(1 << 63)),
    ],
)
def test_a_go_duration_is_read_exactly(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10", 'time: missing unit in duration "10"'),
        ("-1", 'time: missing unit in duration "-1"'),
        ("", 'time: invalid duration ""'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("3s5", 'time: missing unit in duration "3s5"'),
        (".s", 'time: invalid duration ".s"'),
        ("m", 'time: invalid duration "m"'),
        ("+-1s", 'time: invalid duration "+-1s"'),
        ("1 s", 'time: unknown unit " s" in duration "1 s"'),
        ("9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'),
        ("9" * 50 + "h", f'time: invalid duration "{"9" * 50}h"'),
        ("٣s", 'time: invalid duration "٣s"'),
    ],
)
def test_a_bad_duration_is_refused_in_the_words_of_go(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_duration(text)
    assert caught.value.message == message


@given(st.integers(min_value=-9 * 10**12, max_value=9 * 10**12))
def test_every_whole_number_of_milliseconds_is_read_back(count: int) -> None:
    assert parse_duration(f"{count}ms") == count * 1_000_000


@given(st.text(alphabet="0123456789.hmsunµ+- ", max_size=12))
def test_no_text_makes_the_parser_fail_in_another_way(text: str) -> None:
    with suppress(UsageError):
        assert isinstance(parse_duration(text), int)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(10, 10), (0, 0), (0.5, 0.5), (-1, FOREVER), (-0.1, FOREVER), ("5m", 300), ("-1m", FOREVER)],
)
def test_keep_alive_takes_seconds_or_a_duration(value: object, seconds: float) -> None:
    assert keep_alive_seconds(value) == seconds


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "Unsupported type: 'bool'"),
        ([], "Unsupported type: '[]interface {}'"),
        ({}, "Unsupported type: 'map[string]interface {}'"),
        ("10", 'time: missing unit in duration "10"'),
    ],
)
def test_keep_alive_refuses_anything_else(value: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        keep_alive_seconds(value)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60", 60.0),
        ("-1", math.inf),
        ("0", 0.0),
        ("1d", 300.0),
        ("???", 300.0),
        ("90s", 90.0),
        ("-5m", math.inf),
        (" '42' ", 42.0),
        ("", 300.0),
    ],
)
def test_a_time_setting_that_is_garbage_is_the_default(
    text: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELKIT_KEEP_ALIVE", raising=False)
    monkeypatch.setenv("OLLAMA_KEEP_ALIVE", text)
    assert seconds_setting("KEEP_ALIVE", 300.0) == seconds


def test_zero_can_mean_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELKIT_LOAD_TIMEOUT", "0")
    assert seconds_setting("LOAD_TIMEOUT", 300.0, zero_is_forever=True) == math.inf
