"""Host and Origin checks."""

import pytest

from modelkit.errors import UsageError
from modelkit.serve.middleware.cors import Cors, allowed_origins
from modelkit.serve.middleware.host import HostCheck


async def _app(*_: object) -> None:
    """Never reached: the tests below ask for verdicts only."""


@pytest.mark.parametrize(
    "host",
    [
        "", "localhost", "LOCALHOST", "localhost:11434", "127.0.0.1", "127.9.9.9:1", "0.0.0.0:1",
        "10.0.0.5", "192.168.1.4:80", "[::1]", "[::1]:11434", "::1", "foo.local", "a.b.internal:8",
        "x.localhost", "[fd00::1]:1",
    ],
)  # fmt: skip
def test_a_host_that_this_machine_may_have_is_accepted(host: str) -> None:
    assert HostCheck(_app).allows(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.com",
        "evil.com:11434",
        "8.8.8.8",
        "localhost.evil.com",
        "local",
        "[2001:db9::1]",
        "2130706433",
    ],
)
def test_any_other_host_is_refused(host: str) -> None:
    assert not HostCheck(_app).allows(host)


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost", "https://localhost:3000", "http://127.0.0.1:8080", "http://0.0.0.0:1",
        "app://x", "file://", "tauri://localhost", "vscode-webview://abc", "vscode-file://abc",
        "http://mine.example",
    ],
)  # fmt: skip
def test_local_and_configured_origins_are_allowed(origin: str) -> None:
    cors = Cors(_app, allowed_origins("http://mine.example, https://*.example"))
    assert cors.allows(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.com",
        "http://localhost.evil.com",
        "https://localhos",
        "null",
        "http://",
        "ftp://localhost",
    ],
)
def test_foreign_origins_are_not(origin: str) -> None:
    assert not Cors(_app, allowed_origins(None)).allows(origin)


def test_a_star_inside_an_origin_is_a_wildcard() -> None:
    cors = Cors(_app, allowed_origins("https://*.example"))
    assert cors.allows("https://a.b.example")
    assert not cors.allows("https://example")


def test_a_star_alone_allows_everyone() -> None:
    assert Cors(_app, allowed_origins("*")).allows("http://evil.com")


@pytest.mark.parametrize("text", ["mine.example", "ftp://x", "http://a*b*c", "a,b"])
def test_an_origin_that_is_none_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(UsageError, match="is not an origin"):
        allowed_origins(text)
