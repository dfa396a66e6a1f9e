"""Edge cases 51 to 55, 94 and 95 of the second list: models of the cloud and of other servers."""

import json
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.registry.servers import Reply, WebServer
from tests.serve.api.edges import Edge, Expected, Step, each, edge
from tests.serve.api.harness import Server
from tests.serve.api.test_remote import verify

OFF = "ollama cloud is disabled: remote model is unavailable"
BOTH = "use either :local or :cloud, not both"
NOT_THERE = "this server cannot run this remote model"
USER = [{"role": "user", "content": "Hi"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": USER},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/embeddings": {"input": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": USER, "max_tokens": 5},
}


def ask(path: str, model: str, status: int, expected: Expected = None) -> Step:
    return Step(f"POST {path}", {"model": model} | BODIES[path], status, expected)


def native(model: str, status: int, expected: Expected) -> Step:
    return Step("POST /api/chat", {"model": model, "messages": USER}, status, expected)


def begins(text: str) -> Expected:
    """The error's text, before a hint if there is one."""
    return lambda answer: answer.error.startswith(text)


# A difference: under /v1 all errors have that API's form.
WITHOUT_CLOUD = [
    edge(
        51,
        *(ask(path, "m:cloud", 403, OFF) for path in BODIES),
        native("m:cloud", 403, OFF),
        Step(
            "GET /v1/models/m:cloud",
            None,
            403,
            "ollama cloud is disabled: remote model details are unavailable",
        ),
    ),
    edge(
        52,
        *(
            ask(
                path, "m:cloud:local", 400, 'use either :local or :cloud, not both: "m:cloud:local"'
            )
            for path in BODIES
        ),
    ),
]

REFUSED = [
    edge(
        94,
        *(ask(path, "far", 400, begins(NOT_THERE)) for path in BODIES),
        native("far", 400, NOT_THERE),
    ),
    edge(
        95,
        *(ask(path, "far:local", 404) for path in BODIES),
        native("far:local", 404, "model 'far:local' not found"),
    ),
]

NUMBERS = {row.number for row in (*WITHOUT_CLOUD, *REFUSED)} | {53, 55}


@each(WITHOUT_CLOUD)
def test_without_the_cloud_its_models_are_refused(
    shared: Server, row: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_NO_CLOUD", "1")
    row.play(shared)


@each(REFUSED)
def test_a_stub_is_refused(near: Server, row: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELKIT_REMOTES", "example.com")
    row.play(near)


@pytest.mark.parametrize("path", BODIES)
def test_53_a_request_to_the_cloud_is_passed_on_as_it_is(
    server: Server, key: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Content-Type": "application/json", "X-Left": "3", "Set-Cookie": "a=b"}
    answered = Reply(418, b'{"odd": 1.0}', headers)
    # What a model here would be refused for is for the cloud to judge.
    body = b'{"b": 1.50, "model": "gpt-oss:20b-cloud", "a": "\\u003c", "options": null}'
    given = {"Authorization": "Bearer secret", "X-Api-Key": "secret", "OpenAI-Beta": "x"}
    with WebServer(lambda _: answered) as web:
        monkeypatch.setenv("MODELKIT_CLOUD_BASE_URL", web.url)
        answer = server.request("POST", f"{path}?beta=true", body, given)
    [request] = web.requests
    verify(request, key)
    assert urlsplit(request.path).path == path
    assert parse_qs(urlsplit(request.path).query).keys() == {"beta", "ts"}
    assert request.body == b'{"b":1.50,"model":"gpt-oss:20b","a":"\\u003c","options":null}'
    assert request.headers["openai-beta"] == "x"
    assert "secret" not in str(request.headers)
    assert (answer.status, answer.body, answer.headers["x-left"]) == (418, answered.body, "3")
    assert "set-cookie" not in answer.headers


def test_53_a_model_of_the_cloud_is_looked_up_there(
    server: Server, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Reply(body=b'{"id": "m:8b"}', headers={"Content-Type": "application/json"})
    with WebServer(lambda _: found) as web:
        monkeypatch.setenv("MODELKIT_CLOUD_BASE_URL", web.url)
        Step("GET /v1/models/m:8b-cloud", expected={"id": "m:8b"}).play(server)
    [request] = web.requests
    verify(request, key)
    assert request.path.startswith("/v1/models/m:8b?ts=")


def test_53_an_answer_of_the_cloud_comes_as_it_is_written(
    server: Server, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = b"data: {}\n\n"
    headers = {"Content-Type": "text/event-stream", "Content-Length": str(len(event) * 100)}
    slow = Reply(200, event * 100, headers, rate=len(event) * 100)
    with WebServer(lambda _: slow) as web:
        monkeypatch.setenv("MODELKIT_CLOUD_BASE_URL", web.url)
        connection = server.connect()
        body = {"model": "m:cloud", "messages": USER, "stream": True}
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        response = connection.getresponse()
        assert response.readline() + response.readline() == event
        assert not response.isclosed()
        assert response.read() == event * 99


def test_an_answer_of_the_cloud_that_breaks_off_breaks_off_here(
    server: Server, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Reply(body=b"x" * 50, headers={"Content-Length": "999"}, cut=50)
    with WebServer(lambda _: broken) as web:
        monkeypatch.setenv("MODELKIT_CLOUD_BASE_URL", web.url)
        with pytest.raises(HTTPException):
            ask("/v1/completions", "m:cloud", 200).play(server)
    Step("GET /api/version").play(server)


@pytest.mark.parametrize("path", BODIES)
def test_55_without_a_key_nobody_is_asked(
    server: Server, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebServer(lambda _: Reply()) as web:
        monkeypatch.setenv("MODELKIT_CLOUD_BASE_URL", web.url)
        ask(path, "m:cloud", 401, begins("unauthorized")).play(server)
        native("m:cloud", 401, "unauthorized").play(server)
    assert web.requests == []
