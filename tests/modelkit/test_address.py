"""Addresses: the spellings of OLLAMA_HOST."""

import pytest

from modelkit.address import Address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "http://127.0.0.1:11434"),
        ("1.2.3.4", "http://1.2.3.4:11434"),
        (":1234", "http://:1234"),
        (":0", "http://:0"),
        (":66000", "http://:11434"),
        (":-1", "http://:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:1337", "http://[::1]:1337"),
        (" '1.2.3.4' ", "http://1.2.3.4:11434"),
        ("http://example.com", "http://example.com:80"),
        ("https://example.com", "https://example.com:443"),
        ("https://example.com/ollama", "https://example.com:443/ollama"),
        ("https://example.com:8080/", "https://example.com:8080"),
        ("ollama.com", "https://ollama.com:443"),
        ("example.com:56789/a/b", "http://example.com:56789/a/b"),
    ],
)
def test_an_address_is_completed_with_the_defaults(text: str, expected: str) -> None:
    assert str(Address.parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "url"),
    [("0.0.0.0", "http://127.0.0.1:11434"), ("[::]:80", "http://[::1]:80"), (":5", "http://127.0.0.1:5")],
)  # fmt: skip
def test_a_client_reaches_every_interface_on_loopback(text: str, url: str) -> None:
    assert Address.parse(text).url == url


def test_modelkit_host_comes_before_ollama_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "1.1.1.1")
    assert Address.default().host == "1.1.1.1"
    monkeypatch.setenv("MODELKIT_HOST", "2.2.2.2")
    assert Address.default().host == "2.2.2.2"
