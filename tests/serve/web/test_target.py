"""Addresses of pages have one spelling, and what is odd about one is refused."""

import ipaddress
import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from modelkit.serve.web.page import PageError
from modelkit.serve.web.target import MAX_URL, Target

ONE = "\uff11"  # a full-width digit
PIECES = st.sampled_from(
    [
        *("http://", "https://", "//", "/", ":", "@", "[", "]", "%", "%2e", "?", "#", "\\", ".."),
        *(" ", "\t", "\r\n", "80", "-", ".", "\u3002", ONE),
        *("127.0.0.1", "0x7f", "::1", "a.example", "ä.example"),
    ]
)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("example.com", "https://example.com/"),
        (" HTTP://Example.COM:80/A?b=c#d ", "http://example.com/A?b=c"),
        ("https://example.com.:443", "https://example.com/"),
        ("https://example.com:8443/x", "https://example.com:8443/x"),
        (
            "http://bücher.example/ä b?ö=ü d",
            "http://xn--bcher-kva.example/%C3%A4%20b?%C3%B6=%C3%BC%20d",
        ),
        ("https://faß.example", "https://xn--fa-hia.example/"),
        ("http://a.example/%2F%41?x=%20", "http://a.example/%2F%41?x=%20"),
        ("http://8.8.8.8", "http://8.8.8.8/"),
        (f"http://{ONE}.{ONE}.{ONE}.{ONE}", "http://1.1.1.1/"),
        ("http://[2606:4700:0::1111]:8080/", "http://[2606:4700::1111]:8080/"),
        ("localhost:8080/x", "https://localhost:8080/x"),
        ("example.com/?u=http://other.example", "https://example.com/?u=http://other.example"),
    ],
)
def test_an_address_has_one_spelling(text: str, url: str) -> None:
    assert Target.parse(text).url == url


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "url is required"),
        ("  ", "url is required"),
        ("ftp://example.com", "is not an address of http or https"),
        ("file:///etc/passwd", "is not an address of http or https"),
        ("gopher://example.com:70/_x", "is not an address of http or https"),
        ("javascript:alert(1)", "is not a web address"),
        ("data:text/html,x", "is not a web address"),
        ("http://", "is not a web address"),
        ("http:///x", "is not a web address"),
        ("https://user:secret@example.com", "has a user name or a password in it"),
        ("https://example.com@127.0.0.1/", "has a user name or a password in it"),
        ("http://example.com\\@127.0.0.1/", "is not a web address"),
        ("http://exa\tmple.com", "is not a web address"),
        ("http://example.com/\r\nX: y", "is not a web address"),
        ("http://exam ple.com", "is not a web address"),
        ("http://exa%6dple.com", "is not a web address"),
        ("http://[fe80::1%25eth0]/", "is not a web address"),
        ("http://[::1", "is not a web address"),
        ("http://example.com:0/", "is not a web address"),
        ("http://example.com:99999/", "is not a web address"),
        ("http://example.com:http/", "is not a web address"),
        ("http://2130706433/", "is not a web address"),
        ("http://0x7f000001/", "is not a web address"),
        ("http://0177.0.0.1/", "is not a web address"),
        ("http://0x7f.0.0.1/", "is not a web address"),
        ("http://127.1/", "is not a web address"),
        ("http://127.0.0.01/", "is not a web address"),
        ("http://1.2.3.4.5/", "is not a web address"),
        ("http://a..example/", "is not a web address"),
        ("http://example.com:22/", "has port 22, where no web pages are"),
        ("http://example.com:25/", "has port 25, where no web pages are"),
        ("https://example.com/" + "x" * MAX_URL, "is not a web address"),
    ],
)
def test_what_is_no_address_of_a_page_is_refused(text: str, message: str) -> None:
    with pytest.raises(PageError, match=re.escape(message)) as caught:
        Target.parse(text)
    assert caught.value.status == 400


@given(st.lists(PIECES | st.text(max_size=3), max_size=8).map("".join))
def test_every_parser_reads_the_same_host(text: str) -> None:
    try:
        target = Target.parse(text)
    except PageError:
        return
    assert Target.parse(target.url) == target
    assert target.url.isascii()
    assert (urlsplit(target.url).hostname, parse_url(target.url).host) == (
        target.host,
        f"[{target.host}]" if ":" in target.host else target.host,
    )


@given(st.ip_addresses(v=4), st.sampled_from(["{:d}", "0x{:x}", "0{:o}", "{:d}."]))
def test_an_ipv4_address_in_disguise_is_refused(address: ipaddress.IPv4Address, form: str) -> None:
    with pytest.raises(PageError):
        Target.parse(f"http://{form.format(int(address))}/")


@given(st.ip_addresses(v=4), st.integers(0, 3), st.sampled_from(["0x{:x}", "0{:o}", "00{:d}"]))
def test_so_is_one_with_a_disguised_part(
    address: ipaddress.IPv4Address, place: int, form: str
) -> None:
    parts = str(address).split(".")
    parts[place] = form.format(int(parts[place]))
    with pytest.raises(PageError):
        Target.parse(f"http://{'.'.join(parts)}/")


@given(st.ip_addresses())
def test_an_address_in_its_own_spelling_is_read(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    written = f"[{address}]" if address.version == 6 else str(address)
    assert ipaddress.ip_address(Target.parse(f"http://{written}/").host) == address


def test_hosts_are_trusted_by_name_or_by_name_and_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELKIT_WEB_PRIVATE_HOSTS", "Wiki.corp, 127.0.0.1:81,[::1]:8080")
    trusted = ["http://wiki.corp/", "https://WIKI.corp.:9/x", "http://127.0.0.1:81"]
    strange = ["http://127.0.0.1/", "http://127.0.0.1:8181/", "http://a.wiki.corp/", "http://corp"]
    assert [Target.parse(url).trusted for url in trusted + strange] == [True] * 3 + [False] * 4
    monkeypatch.delenv("MODELKIT_WEB_PRIVATE_HOSTS")
    assert not Target.parse("http://wiki.corp/").trusted
