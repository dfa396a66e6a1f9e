"""Listening: one socket, and one line when it cannot be had."""

import re

import pytest

from modelkit.address import Address
from modelkit.asgi.hosting import is_loopback, listen, url
from modelkit.errors import ModelkitError, UsageError


def test_a_port_in_use_is_one_line() -> None:
    with listen(Address.parse("127.0.0.1:0")) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ModelkitError) as caught:
            listen(Address.parse(f"127.0.0.1:{port}"))
    assert caught.value.message == (
        f"cannot listen on http://127.0.0.1:{port}: Address already in use"
    )
    assert "another port" in str(caught.value.hint)


@pytest.mark.parametrize("text", ["no-such-host.invalid:80", "192.0.2.1:8080"])
def test_an_address_that_is_not_ours_is_one_line(text: str) -> None:
    with pytest.raises(ModelkitError, match="cannot listen on http://"):
        listen(Address.parse(text))


def test_https_is_refused_with_advice() -> None:
    with pytest.raises(UsageError, match="cannot serve https"):
        listen(Address.parse("https://localhost"))


@pytest.mark.parametrize(
    ("text", "loopback"),
    [("127.0.0.1:0", True), ("localhost:0", True), ("0.0.0.0:0", False), (":0", False)],
)
def test_whether_others_can_reach_it_is_known(text: str, loopback: bool) -> None:
    with listen(Address.parse(text)) as listener:
        assert is_loopback(listener) is loopback
        assert re.fullmatch(r"http://(\d+(\.\d+){3}|\[::\]):\d+", url(listener))


def test_the_url_of_an_ipv6_address_has_brackets() -> None:
    with listen(Address.parse("[::1]:0")) as listener:
        assert url(listener) == f"http://[::1]:{listener.getsockname()[1]}"
