import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.errors import UsageError
from modelkit.options import DEPRECATED, EXTRA_OPTIONS, OPTIONS, parse_parameter


def refusal(name: str, text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse_parameter(name, text)
    return caught.value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("num_ctx", "4096", 4096),
        ("seed", "-1", -1),
        ("seed", "+7", 7),
        ("seed", "9223372036854775807", 2**63 - 1),
        ("top_k", "007", 7),
        ("temperature", "0.7", 0.7),
        ("temperature", "1", 1.0),
        ("temperature", ".5", 0.5),
        ("temperature", "1e-3", 0.001),
        ("use_mmap", "T", True),
        ("use_mmap", "0", False),
        ("stop", "<|end|>", ["<|end|>"]),
        ("stop", "", [""]),
    ],
)
def test_a_parameter_gets_the_type_of_its_option(name: str, text: str, value: object) -> None:
    parsed = parse_parameter(name, text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_true_is_spelled_in_six_ways(text: str) -> None:
    assert parse_parameter("use_mmap", text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_false_is_spelled_in_six_ways(text: str) -> None:
    assert parse_parameter("use_mmap", text) is False


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("top_k", "1.0", "invalid int value [1.0]"),
        ("top_k", "", "invalid int value []"),
        ("top_k", "1_0", "invalid int value [1_0]"),
        ("top_k", "٣", "invalid int value [٣]"),
        ("top_k", " 1", "invalid int value [ 1]"),
        ("seed", "9223372036854775808", "invalid int value [9223372036854775808]"),
        ("use_mmap", "foo", "invalid bool value [foo]"),
        ("use_mmap", "yes", "invalid bool value [yes]"),
        ("temperature", "hot", "invalid float value [hot]"),
        ("temperature", "0,7", "invalid float value [0,7]"),
        ("temperature", "nan", "invalid float value [nan]"),
        ("temperature", "inf", "invalid float value [inf]"),
        ("temperature", "1e39", "invalid float value [1e39]"),
        ("temperature", "1_0.5", "invalid float value [1_0.5]"),
        ("numa", "true", "unknown parameter 'numa'"),
        ("num_gqa", "8", "unknown parameter 'num_gqa'"),
        ("", "top_k 1", "unknown parameter ''"),
        ("Temperature", "1", "unknown parameter 'Temperature'"),
    ],
)
def test_a_refused_parameter_has_the_reference_words(name: str, text: str, message: str) -> None:
    assert refusal(name, text).message == message


def test_a_long_run_of_digits_is_refused_at_once() -> None:
    assert refusal("seed", "9" * 100_000).message.startswith("invalid int value [999")


def test_a_misspelled_parameter_is_met_with_the_nearest_name() -> None:
    assert refusal("temprature", "1").hint == "did you mean temperature?"
    assert refusal("Top_K", "1").hint == "did you mean top_k?"
    assert "num_ctx, num_batch" in (refusal("context", "1").hint or "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.123456789", 0.12345679),
        ("16777217", 16777216.0),
        ("3.4028235e38", 3.4028235e38),
        ("3.40282356e38", 3.4028235e38),
        ("1e-45", 1e-45),
        ("1e-50", 0.0),
    ],
)
def test_a_float_is_kept_as_the_shortest_decimal_of_its_32_bit_number(
    text: str, value: float
) -> None:
    assert parse_parameter("temperature", text) == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_every_32_bit_number_survives_being_written_and_read(number: float) -> None:
    parsed = parse_parameter("temperature", repr(number))
    assert isinstance(parsed, float)
    assert struct.pack("<f", parsed) == struct.pack("<f", number)
    assert len(repr(abs(parsed))) <= len(repr(abs(number)))


def test_the_defaults_have_the_type_of_their_option() -> None:
    kinds = {"int": int, "float": float, "bool": bool, "strings": list}
    for name, option in OPTIONS.items():
        assert option.name == name
        assert option.default is None or type(option.default) is kinds[option.type]


def test_a_deprecated_name_is_no_option() -> None:
    assert DEPRECATED.isdisjoint(OPTIONS)
    assert len(DEPRECATED) == 9


def test_llama_cpps_other_options_are_not_for_modelfiles() -> None:
    assert OPTIONS.keys().isdisjoint(EXTRA_OPTIONS)
    for name, option in EXTRA_OPTIONS.items():
        assert (option.name, option.scope) == (name, "request")
    assert refusal("dry_multiplier", "0.8").message == "unknown parameter 'dry_multiplier'"
