"""JSON as Go's encoding/json reads and writes it."""

import json
import math
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.serve.api.codec import decode, encode, timestamp
from modelkit.serve.api.errors import ApiError

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Inner(msgspec.Struct):
    role: str = ""
    extra: dict[str, Any] = {}


class Body(msgspec.Struct, kw_only=True):
    model: str = ""
    stream: bool = True
    count: int = 0
    from_: str = msgspec.field(default="", name="from")
    messages: list[Inner] = []
    options: dict[str, Any] = {}
    shift: bool | None = None


def refusal(body: bytes) -> str:
    with pytest.raises(ApiError) as caught:
        decode(body, Body)
    assert caught.value.status == 400
    return caught.value.message


def test_bytes_after_the_first_value_are_ignored() -> None:
    assert decode(b'{"model":"a"} garbage', Body).model == "a"


def test_keys_match_without_regard_to_case() -> None:
    body = decode(b'{"MODEL":"a","From":"b","Messages":[{"ROLE":"user"}]}', Body)
    assert (body.model, body.from_, body.messages[0].role) == ("a", "b", "user")


def test_keys_of_free_objects_keep_their_case() -> None:
    body = decode(b'{"options":{"Temperature":1},"messages":[{"extra":{"A":null}}]}', Body)
    assert body.options == {"Temperature": 1}
    assert body.messages[0].extra == {"A": None}


def test_the_last_of_two_equal_keys_wins() -> None:
    assert decode(b'{"model":"a","model":"b"}', Body).model == "b"


def test_unknown_keys_are_ignored() -> None:
    assert decode(b'{"nope":[1],"model":"a"}', Body).model == "a"


def test_null_leaves_a_field_as_it_is() -> None:
    body = decode(b'{"stream":null,"model":null,"messages":null,"shift":null}', Body)
    assert (body.stream, body.model, body.messages, body.shift) == (True, "", [], None)


@pytest.mark.parametrize("body", [b"null", b"{}", b" \n{ }"])
def test_null_is_an_empty_object(body: bytes) -> None:
    assert decode(body, Body) == Body()


@pytest.mark.parametrize("body", [b"", b"   ", b"\r\n\t"])
def test_no_body_at_all_is_told_apart(body: bytes) -> None:
    assert refusal(body) == "missing request body"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "unexpected EOF"),
        (b'{"model', "unexpected EOF"),
        (b'{"model":', "unexpected EOF"),
        (b"x", "invalid character 'x' looking for beginning of value"),
        (b"{}}", None),
        (b"{,}", "invalid character ',' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":NaN}', "invalid character 'N' looking for beginning of value"),
        (b'{"a":Infinity}', "invalid character 'I' looking for beginning of value"),
        (b"\xef\xbb\xbf{}", "invalid character '\ufeff' looking for beginning of value"),
        (
            b'{"model":5}',
            "json: cannot unmarshal number into Go struct field Body.model of type string",
        ),
        (
            b'{"stream":"yes"}',
            "json: cannot unmarshal string into Go struct field Body.stream of type bool",
        ),
        (
            b'{"count":true}',
            "json: cannot unmarshal bool into Go struct field Body.count of type int",
        ),
        (b"[1]", "json: cannot unmarshal array into Go value of type api.Body"),
        (b'"text"', "json: cannot unmarshal string into Go value of type api.Body"),
    ],
)
def test_a_bad_body_is_refused_in_the_words_of_go(body: bytes, message: str | None) -> None:
    if message is None:
        assert decode(body, Body) == Body()
    else:
        assert refusal(body) == message


def test_a_body_nested_beyond_reason_is_refused() -> None:
    assert refusal(b'{"options":' * 100_000) == "exceeded max depth"


def test_a_number_of_ten_thousand_digits_is_refused() -> None:
    assert refusal(b'{"count":' + b"1" * 10_000 + b"}").startswith("json: cannot unmarshal number")


def test_bytes_that_are_no_utf8_become_replacement_characters() -> None:
    assert decode(b'{"model":"a\xff"}', Body).model == "a\ufffd"


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    body = decode(b'{"model":"a\\ud800b","options":{"\\uDFFF":["\\ud83d\\ude00"]}}', Body)
    assert body.model == "a\ufffdb"
    assert body.options == {"\ufffd": ["😀"]}
    assert encode(body.options)


@given(st.binary(max_size=60))
def test_no_bytes_fail_in_another_way(data: bytes) -> None:
    try:
        decoded: object = decode(data, Body)
    except ApiError as error:
        decoded = error.status
    assert decoded == 400 or isinstance(decoded, Body)


@given(JSON_VALUES)
def test_what_is_written_reads_back(value: object) -> None:
    assert json.loads(encode(value)) == value


@given(JSON_VALUES)
def test_what_is_written_is_safe_inside_a_web_page(value: object) -> None:
    data = encode(value)
    assert not any(byte in data for byte in (b"<", b">", b"&", b"\n", "\u2028".encode()))


def test_html_is_escaped_as_go_does() -> None:
    assert encode("<b>&\u2028") == b'"\\u003cb\\u003e\\u0026\\u2028"'


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (1_755_738_123_123_456_789, "2025-08-21T01:02:03.123456789Z"),
        (1_755_738_123_000_000_010, "2025-08-21T01:02:03.00000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_times_have_no_zeros_at_their_end(nanoseconds: int, text: str) -> None:
    assert timestamp(nanoseconds) == text


def test_local_times_carry_their_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert timestamp(0, local=True) == "1970-01-01T05:30:00+05:30"
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def test_now_is_now() -> None:
    assert math.isclose(
        time.time(),
        time.mktime(time.strptime(timestamp(local=True)[:19], "%Y-%m-%dT%H:%M:%S")),
        abs_tol=2,
    )
