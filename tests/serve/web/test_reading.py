"""/api/web_fetch: pages for clients, each read in a process that ends in time."""

import asyncio
import importlib.util
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

import pytest

from modelkit.serve.web.reading import AT_ONCE, read_page
from modelkit.serve.web.worker import MAX_ANSWER
from tests.processes import children
from tests.registry.servers import Reply
from tests.serve.api.harness import Server
from tests.serve.web.conftest import StartSite, ollamas_client

WORKER = "modelkit.serve.web.worker"
HTML = {"Content-Type": "text/html; charset=utf-8"}
PAGE = Reply(body=b'<title>Oslo</title><p>A <b>capital</b>, <a href="/x">see</a>', headers=HTML)
SLOW = Reply(body=bytes(1 << 20), headers=HTML, rate=50)


@contextmanager
def dripping(head: bytes) -> Iterator[str]:
    """The address of a server that sends `head` and then a byte now and then, without end."""
    stopped = Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, suppress(ConnectionError):
            connection.sendall(head)
            while not stopped.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=drip)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        stopped.set()
        thread.join()


def refused(server: Server, url: str) -> tuple[int, str]:
    answer = server.post("/api/web_fetch", {"url": url})
    return answer.status, answer.error


def test_ollamas_client_reads_a_page(server: Server, site: StartSite) -> None:
    web = site(lambda _: PAGE)
    with ollamas_client(server) as client:
        found = client.web_fetch(web.url)
    assert (found.title, found.links) == ("Oslo", [f"{web.url}/x"])
    assert found.content == f"A **capital**, [see]({web.url}/x)"
    assert "authorization" not in web.requests[0].headers


def test_the_older_path_answers_as_well(server: Server, site: StartSite) -> None:
    answer = server.post("/api/experimental/web_fetch", {"url": site(lambda _: PAGE).url})
    assert list(answer.json) == ["title", "content", "links"]


def test_what_the_client_carries_stays_here(server: Server, site: StartSite) -> None:
    web = site(lambda _: PAGE)
    carried = {"Authorization": "Bearer secret", "Cookie": "c=d", "X-Api-Key": "secret"}
    assert server.request("POST", "/api/web_fetch", {"url": web.url}, carried).status == 200
    assert not web.requests[0].headers.keys() & {"authorization", "cookie", "x-api-key"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b" ", "missing request body"),
        ({}, "url is required"),
        ({"url": 3}, "json: cannot unmarshal number into Go struct field"),
        ({"url": "ftp://a.example"}, "'ftp://a.example' is not an address of http or https"),
    ],
)
def test_a_request_without_an_address_is_refused(server: Server, body: Any, message: str) -> None:
    answer = server.post("/api/web_fetch", body)
    assert answer.status == 400
    assert message in answer.error


def test_the_server_does_not_read_itself(server: Server) -> None:
    answer = server.post("/api/web_fetch", {"url": f"{server.url}/api/tags"})
    assert answer.status == 400
    assert "MODELKIT_WEB_PRIVATE_HOSTS" in answer.json["hint"]


def test_reading_pages_can_be_turned_off(
    server: Server, site: StartSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = site(lambda _: PAGE)
    monkeypatch.setenv("MODELKIT_WEB_FETCH", "0")
    assert refused(server, web.url) == (403, "reading web pages is turned off")
    assert web.requests == []


def test_a_library_that_is_missing_is_named(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    answer = server.post("/api/web_fetch", {"url": "https://a.example"})
    assert (answer.status, answer.json["hint"]) == (501, "pip install 'modelkit-llm[web]'")


def test_who_forbids_the_cloud_must_allow_pages(
    server: Server, site: StartSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = site(lambda _: PAGE)
    monkeypatch.setenv("OLLAMA_NO_CLOUD", "1")
    text = "ollama cloud is disabled: web fetch is unavailable"
    assert refused(server, web.url) == (403, text)
    assert web.requests == []
    monkeypatch.setenv("MODELKIT_WEB_FETCH", "1")
    assert server.post("/api/web_fetch", {"url": web.url}).status == 200


def test_an_answer_is_json_whatever_the_page_holds(server: Server, site: StartSite) -> None:
    text = "".join(map(chr, (*range(1, 0x100), 0x2028, 0xFFFF, 0x1F600)))
    plain = Reply(body=text.encode(), headers={"Content-Type": "text/plain"})
    answer = server.post("/api/web_fetch", {"url": site(lambda _: plain).url})
    assert json.loads(answer.body)["content"] == text


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", b""])
def test_a_server_that_takes_forever_is_left(
    server: Server, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.setenv("MODELKIT_WEB_TIMEOUT", "1s")
    with dripping(head) as host:
        monkeypatch.setenv("MODELKIT_WEB_PRIVATE_HOSTS", host)
        url = f"http://{host}/"
        assert refused(server, url) == (504, f"reading {url} took longer than 1 seconds")


def test_who_stops_waiting_ends_the_reading(site: StartSite) -> None:
    web = site(lambda _: SLOW)

    async def leave() -> None:
        reading = asyncio.create_task(read_page(web.url, asyncio.Semaphore(1)))
        while not web.requests:
            await asyncio.sleep(0.01)
        assert len(children(WORKER)) == 1
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()

    asyncio.run(leave())
    assert children(WORKER) == []


def test_a_page_that_wants_all_the_memory_does_not_get_it(
    server: Server, site: StartSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELKIT_WEB_TIMEOUT", "3m")
    links = "".join(f"<a href={number:x}>a</a>" for number in range(200_000))
    html = f"<base href='https://a.example/{'x' * 8000}/'>{links}"
    web = site(lambda _: Reply(body=html.encode(), headers=HTML))
    assert refused(server, web.url) == (502, f"{web.url} cannot be read")


def test_a_page_whose_text_grows_beyond_measure_is_refused(server: Server, site: StartSite) -> None:
    links = "".join(f"<a href={number:x}>a</a>" for number in range(3000))
    html = f"<base href='https://a.example/{'x' * 8000}/'>{links}"
    web = site(lambda _: Reply(body=html.encode(), headers=HTML))
    text = f"the text of {web.url} is longer than {MAX_ANSWER} bytes"
    assert refused(server, web.url) == (502, text)


def test_many_slow_pages_do_not_hold_up_the_rest(server: Server, site: StartSite) -> None:
    web = site(lambda _: SLOW)
    slow = [server.connect() for _ in range(AT_ONCE + 4)]
    for connection in slow:
        connection.request("POST", "/api/web_fetch", json.dumps({"url": web.url}))
    while len(web.requests) < AT_ONCE:
        time.sleep(0.02)
    assert server.request("GET", "/api/tags").status == 200
    assert len(web.requests) == AT_ONCE
    for connection in slow:
        connection.close()
    assert server.post("/api/web_fetch", {"url": site(lambda _: PAGE).url}).status == 200
