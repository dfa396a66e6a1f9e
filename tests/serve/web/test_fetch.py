"""Documents fetched from real servers; nothing but the public internet is reached."""

import gzip
from collections.abc import Callable

import pytest
import zstandard

from modelkit.serve.web.fetch import MAX_BODY, fetch
from modelkit.serve.web.page import PageError
from tests.registry.servers import Reply, Request, WebServer
from tests.serve.web.conftest import StartSite

BEYOND = "has no address on the public internet"


def packed(body: bytes, encoding: str) -> Reply:
    return Reply(body=body, headers={"Content-Encoding": encoding, "Content-Type": "text/html"})


def refusal(url: str) -> PageError:
    with pytest.raises(PageError) as caught:
        fetch(url)
    return caught.value


def test_a_document_comes_as_its_server_sends_it(site: StartSite) -> None:
    web = site(lambda _: Reply(body=b"<p>x", headers={"Content-Type": "text/html; charset=x"}))
    found = fetch(f"{web.url}/a?b=c#d")
    assert (found.url, found.body) == (f"{web.url}/a?b=c", b"<p>x")
    assert found.content_type == "text/html; charset=x"
    [request] = web.requests
    assert request.path == "/a?b=c"
    assert request.headers.keys() == {"host", "user-agent", "accept", "accept-encoding"}


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)]
)
def test_compressed_documents_are_unpacked(
    site: StartSite, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    web = site(lambda _: packed(pack(b"<p>x"), encoding))
    assert fetch(web.url).body == b"<p>x"
    assert web.requests[0].headers["accept-encoding"] == "gzip, zstd"


def test_redirects_are_followed_to_where_the_document_is(site: StartSite) -> None:
    moves = {"/a": (301, "b"), "/b": (303, "//{host}/c"), "/c": (307, "http://{host}/ü/?q=ä b")}

    def respond(request: Request) -> Reply:
        if request.path not in moves:
            return Reply(body=b"end")
        status, place = moves[request.path]
        location = place.format(host=web.host).encode().decode("latin-1")
        return Reply(status, headers={"Location": location, "Set-Cookie": "a=b"})

    web = site(respond)
    assert fetch(f"{web.url}/a").url == f"{web.url}/%C3%BC/?q=%C3%A4%20b"
    assert web.requests[-1].path == "/%C3%BC/?q=%C3%A4%20b"
    assert "cookie" not in web.requests[-1].headers
    assert "referer" not in web.requests[-1].headers


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(404), "127.0.0.1 answers 404 Not Found"),
        (Reply(429), "127.0.0.1 answers 429 Too Many Requests"),
        (Reply(304), "127.0.0.1 answers 304 Not Modified"),
        (packed(b"abc", "gzip"), "the compressed page cannot be read"),
        (packed(b"abc", "zstd"), "the compressed page cannot be read"),
        (packed(b"abc", "br"), "the compressed page cannot be read"),
        (packed(gzip.compress(b"abc")[:-3], "gzip"), "the compressed page cannot be read"),
        (Reply(body=b"abc", headers={"Content-Length": "9"}, cut=3), "cannot reach 127.0.0.1"),
        (Reply(302, headers={"Location": "/again"}), "redirects more than 5 times"),
        (Reply(body=b"x" * (MAX_BODY + 1)), f"longer than {MAX_BODY} bytes"),
        (packed(gzip.compress(bytes(64 << 20)), "gzip"), f"longer than {MAX_BODY} bytes"),
        (packed(zstandard.compress(bytes(64 << 20)), "zstd"), f"longer than {MAX_BODY} bytes"),
    ],
)
def test_an_answer_that_is_no_document_is_refused(
    site: StartSite, reply: Reply, message: str
) -> None:
    error = refusal(site(lambda _: reply).url)
    assert error.status == 502
    assert message in error.message


def test_a_server_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELKIT_WEB_PRIVATE_HOSTS", "127.0.0.1")
    assert refusal("http://127.0.0.1:1").message == "127.0.0.1:1 does not answer"


def test_a_server_that_nobody_vouches_for_is_refused(site: StartSite) -> None:
    web = site(lambda _: Reply())
    assert refusal(f"https://{web.host}").message == "127.0.0.1 has no certificate that is trusted"


# What is inside


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1.", "127.9.9.9", "localhost", "0.0.0.0", "[::1]", "[::]"),
        *("[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
    ],
)
def test_nothing_on_this_machine_is_read(host: str) -> None:
    with WebServer(lambda _: Reply(body=b"secret")) as inside:
        error = refusal(f"http://{host}:{inside.host.rpartition(':')[2]}/")
        assert error.status == 400
        assert BEYOND in error.message
        assert inside.requests == []


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.100.100.200"),
        *("192.0.0.192", "168.63.129.16", "224.0.0.1", "255.255.255.255"),
        *("[fd00:ec2::254]", "[fe80::1]", "[ff02::1]"),
    ],
)
def test_nothing_on_private_networks_is_read(address: str) -> None:
    assert BEYOND in refusal(f"http://{address}/latest/meta-data/").message


@pytest.mark.parametrize(
    "place",
    [
        *("http://{inside}/", "//{inside}/", "http://localhost:{port}/"),
        *("http://2130706433:{port}/", "http://0x7f.1:{port}/", "http://[::ffff:7f00:1]:{port}/"),
        *("http://{outside}@{inside}/", "http://{outside}:@{inside}/"),
        *("http://{outside}\\@{inside}/", "http://{outside}#@{inside}/../", "file:///etc/passwd"),
    ],
)
def test_no_redirect_leads_inside(site: StartSite, place: str) -> None:
    with WebServer(lambda _: Reply(body=b"secret")) as inside:

        def respond(request: Request) -> Reply:
            port = inside.host.rpartition(":")[2]
            location = place.format(inside=inside.host, outside=outside.host, port=port)
            return Reply(302, headers={"Location": location})

        outside = site(respond)
        refusal(outside.url)
        assert inside.requests == []


def test_a_proxy_is_not_asked_to_go_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    with WebServer(lambda _: Reply(body=b"secret")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert BEYOND in refusal("http://10.0.0.1/").message
        assert proxy.requests == []
