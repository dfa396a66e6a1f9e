"""/api/web_search: the question, and nothing else, goes to the server that the operator chose."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import ollama
import pytest

from tests.registry.servers import Reply, Request, WebServer
from tests.serve.api.harness import Server
from tests.serve.web.conftest import ollamas_client

JSON = {"Content-Type": "application/json"}
RESULTS = [
    {
        "title": f"Page {number}",
        "url": f"https://{number}.example/",
        "content": "Fjords & <forests>.",
    }
    for number in range(12)
]
UNCONFIGURED = "ollama cloud is disabled: web search is unavailable"


def searxng(_request: Request) -> Reply:
    """A SearXNG's answer; the third result has no text, the fourth no address."""
    results: list[dict[str, Any]] = [
        {**each, "engine": "x", "engines": ["x"], "score": 1.5, "category": "general"}
        for each in RESULTS
    ]
    results[2] = {"url": "https://2.example/", "title": None, "content": None}
    results[3] = {"title": "Nowhere"}
    body = {"query": "x", "number_of_results": 0, "results": results, "answers": []}
    return Reply(body=json.dumps(body).encode(), headers=JSON)


def search(server: Server, **fields: Any) -> Any:
    return server.post("/api/web_search", {"query": "Oslo", **fields})


def test_ollamas_client_searches_with_searxng(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebServer(searxng) as web, ollamas_client(server) as client:
        monkeypatch.setenv("MODELKIT_SEARXNG_URL", f"{web.url}/search-engine/")
        found = client.web_search("fjord & forest?", max_results=4)
    titles = [(each.title, each.url) for each in found.results]
    assert titles == [
        ("Page 0", "https://0.example/"),
        ("Page 1", "https://1.example/"),
        ("", "https://2.example/"),
        ("Page 4", "https://4.example/"),
    ]
    assert found.results[0].content == "Fjords & <forests>."
    [request] = web.requests
    asked = urlsplit(request.path)
    assert asked.path == "/search-engine/search"
    assert parse_qs(asked.query) == {"q": ["fjord & forest?"], "format": ["json"]}
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("fields", "count"), [({}, 5), ({"max_results": None}, 5), ({"max_results": 10}, 10)]
)
@pytest.mark.parametrize("path", ["/api/web_search", "/api/experimental/web_search"])
def test_five_results_come_unless_more_are_wanted(
    server: Server, monkeypatch: pytest.MonkeyPatch, path: str, fields: Any, count: int
) -> None:
    with WebServer(searxng) as web:
        monkeypatch.setenv("OLLAMA_SEARXNG_URL", web.url)
        answer = server.post(path, {"query": "Oslo", **fields})
    assert answer.status == 200
    assert len(answer.json["results"]) == count


def test_a_server_with_ollamas_search_is_asked_with_our_key_and_not_the_clients(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps({"results": RESULTS[:3], "more": 1}).encode()
    carried = {"Authorization": "Bearer secret", "Cookie": "c=d", "X-Api-Key": "secret"}
    with WebServer(lambda _: Reply(body=body, headers=JSON)) as web:
        monkeypatch.setenv("MODELKIT_WEB_SEARCH_URL", web.url)
        monkeypatch.setenv("MODELKIT_WEB_SEARCH_KEY", "ours")
        monkeypatch.setenv("MODELKIT_AUTH", "1")
        asked = {"query": "Oslo", "max_results": 3}
        answer = server.request("POST", "/api/web_search", asked, carried)
        monkeypatch.delenv("MODELKIT_WEB_SEARCH_KEY")
        monkeypatch.delenv("MODELKIT_AUTH")
        server.request("POST", "/api/web_search", asked, carried)
    assert (answer.status, answer.body) == (200, body)
    first, second = web.requests
    assert (first.method, first.path) == ("POST", "/api/web_search")
    assert json.loads(first.body) == asked
    assert first.headers["authorization"] == "Bearer ours"
    assert "authorization" not in second.headers
    assert not first.headers.keys() & {"cookie", "x-api-key"}


def test_what_such_a_server_refuses_is_passed_on_as_it_is(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b'{"error": "too many  searches"}'
    busy = Reply(429, body, JSON | {"Retry-After": "30", "Set-Cookie": "a=b"})
    with WebServer(lambda _: busy) as web, ollamas_client(server) as client:
        monkeypatch.setenv("MODELKIT_WEB_SEARCH_URL", web.url)
        answer = search(server)
        with pytest.raises(ollama.ResponseError) as caught:
            client.web_search("Oslo")
    assert (answer.status, answer.body) == (429, body)
    assert answer.headers["retry-after"] == "30"
    assert "set-cookie" not in answer.headers
    assert caught.value.status_code == 429


@pytest.mark.parametrize(
    ("reply", "status", "message"),
    [
        (Reply(429), 429, "SearXNG refuses the search: 429"),
        (Reply(403), 403, "SearXNG refuses the search: 403"),
        (Reply(body=b"<html>", headers={"Content-Type": "text/html"}), 502, "cannot be read"),
        (Reply(body=b"{}", headers=JSON), 502, "SearXNG's answer cannot be read"),
        (Reply(302, headers={"Location": "/x"}), 502, "the search server redirects"),
        (Reply(body=b"{", headers={"Content-Length": "9"}, cut=1), 502, "broke off its answer"),
    ],
)
def test_a_searxng_that_does_not_answer_as_it_should_says_why(
    server: Server, monkeypatch: pytest.MonkeyPatch, reply: Reply, status: int, message: str
) -> None:
    with WebServer(lambda _: reply) as web:
        monkeypatch.setenv("MODELKIT_SEARXNG_URL", web.url)
        answer = search(server)
    assert answer.status == status
    assert message in answer.error
    assert ("search.formats" in answer.json.get("hint", "")) == message.endswith(("403", "read"))


def test_a_searxng_that_is_away_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELKIT_SEARXNG_URL", "http://127.0.0.1:1")
    answer = search(server)
    assert (answer.status, answer.error) == (502, "127.0.0.1:1 does not answer")


def test_without_a_search_server_the_answer_says_what_to_set(server: Server) -> None:
    answer = search(server)
    assert (answer.status, answer.error) == (403, UNCONFIGURED)
    for name in ("MODELKIT_SEARXNG_URL", "MODELKIT_WEB_SEARCH_URL", "MODELKIT_WEB_SEARCH_KEY"):
        assert name in answer.json["hint"]


@pytest.mark.parametrize("address", ["searx.example", "ftp://searx.example", "http://"])
def test_an_address_that_is_none_is_named(
    server: Server, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("MODELKIT_SEARXNG_URL", address)
    answer = search(server)
    assert (answer.status, answer.error) == (500, "MODELKIT_SEARXNG_URL is not a web address")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b" ", "missing request body"),
        ({}, "query is required"),
        ({"query": " "}, "query is required"),
        ({"query": "x", "max_results": 0}, "max_results must be from 1 to 10"),
        ({"query": "x", "max_results": 11}, "max_results must be from 1 to 10"),
        ({"query": ["x"]}, "json: cannot unmarshal array into Go struct field"),
    ],
)
def test_a_request_without_a_question_is_refused(server: Server, body: Any, message: str) -> None:
    answer = server.post("/api/web_search", body)
    assert answer.status == 400
    assert message in answer.error
