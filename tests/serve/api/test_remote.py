"""Models on other servers: one modelkit asks another, and only where it may."""

import base64
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from modelkit.store import Store
from tests.registry.servers import Reply, Request, WebServer
from tests.serve.api.edges import Step, chat, create, generate, show
from tests.serve.api.harness import Server, running

FAST: dict[str, Any] = {"num_predict": 8, "temperature": 0.0, "num_ctx": 512}
USER = [{"role": "user", "content": "Hi"}]


def without_times(line: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in line.items()
        if name != "created_at" and "duration" not in name and "cached" not in name
    }


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("path", "question"), [("/api/chat", {"messages": USER}), ("/api/generate", {"prompt": "Hi"})]
)
def test_a_stub_answers_what_its_model_answers(
    near: Server, upstream: Server, path: str, question: dict[str, Any], stream: bool
) -> None:
    body = question | {"options": FAST, "stream": stream}
    there = upstream.post(path, body | {"model": "tiny"})
    here = near.post(path, body | {"model": "far:latest"})
    assert here.status == 200, here.body
    assert here.headers["content-type"] == there.headers["content-type"]
    for line, other in zip(here.lines, there.lines, strict=True):
        assert list(line)[:4] == ["model", "remote_model", "remote_host", "created_at"]
        assert without_times(line) == without_times(other) | {
            "model": "far:latest",
            "remote_model": "tiny",
            "remote_host": upstream.url,
        }
    assert near.request("GET", "/api/ps").json == {"models": []}


def test_ollamas_client_talks_to_a_stub(near: Server) -> None:
    with near.client() as client:
        parts = list(client.chat("far", USER, stream=True, options=FAST))
        assert parts[-1].done
        assert parts[-1].eval_count == 8
        assert client.generate("far", "Hi", options=FAST).response


def test_a_stubs_texts_and_options_go_along(near: Server) -> None:
    answer = near.post("/api/chat", {"model": "mario", "messages": USER, "stream": False})
    assert answer.json["eval_count"] == 3
    rendered = near.post(
        "/api/chat", {"model": "mario", "messages": USER, "_debug_render_only": True}
    ).json["_debug_info"]["rendered_template"]
    assert rendered == "You are Mario. ab Hi"
    given = near.post(
        "/api/generate",
        {"model": "mario", "prompt": "Hi", "system": "Sir.", "_debug_render_only": True},
    )
    assert given.json["_debug_info"]["rendered_template"] == "Sir. Hi"


def test_a_client_that_leaves_stops_the_answer_there(near: Server, upstream: Server) -> None:
    def active() -> int:
        runners = [entry.runner for entry in upstream.scheduler._roster]
        return sum(upstream.call(runner.stats()).active for runner in runners)

    endless = {"num_predict": 4000, "temperature": 1.2, "top_k": 0, "seed": 3, "num_ctx": 4096}
    connection = near.connect()
    body = {"model": "far", "prompt": "Why", "options": endless}
    connection.request("POST", "/api/generate", json.dumps(body))
    response = connection.getresponse()
    assert response.readline()
    assert active() == 1
    response.close()
    connection.close()
    deadline = time.monotonic() + 20
    while active():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_stub_loads_there_and_unloads_here(near: Server) -> None:
    chat("far", "", 200, {"done_reason": "load", "remote_model": "tiny"}).play(near)
    chat("far", "", 200, {"done_reason": "unload", "remote_model": None}, keep_alive=0).play(near)


def test_the_other_servers_refusal_is_passed_on(near: Server, upstream: Server) -> None:
    message = '"tiny" does not support thinking'
    chat("far", "Hi", 400, message, think=True).play(near)
    create(
        "gone",
        base="nope",
        remote_host=near.post("/api/show", {"model": "far"}).json["remote_host"],
    ).play(near)
    generate("gone", "Hi", 404, "model 'nope' not found").play(near)


def test_a_stub_is_listed_and_shown_by_what_is_said_of_it(near: Server, upstream: Server) -> None:
    info = {
        "capabilities": ["completion", "tools"],
        "model_family": "llama",
        "base_name": "Tiny",
        "parameter_size": "1B",
        "quantization_level": "F16",
        "context_length": 2048.0,
        "embedding_length": 64,
    }
    create("told", base="tiny", remote_host=upstream.url, info=info).play(near)
    shown = near.post("/api/show", {"model": "told"}).json
    assert shown["model_info"] == {
        "general.architecture": "llama",
        "general.basename": "Tiny",
        "llama.context_length": 2048,
        "llama.embedding_length": 64,
    }
    assert (shown["remote_model"], shown["remote_host"]) == ("tiny", upstream.url)
    assert shown["capabilities"] == ["completion", "tools"]
    assert shown["details"]["parameter_size"] == "1B"
    tags = near.request("GET", "/api/tags").json["models"]
    [told] = [tag for tag in tags if tag["name"] == "told:latest"]
    assert list(told)[:4] == ["name", "model", "remote_model", "remote_host"]
    assert told["details"]["context_length"] == 2048


def test_a_child_of_a_stub_is_a_stub(near: Server, upstream: Server) -> None:
    create("child", base="far", system="S").play(near)
    show("child", expected={"remote_model": "tiny", "system": "S"}).play(near)


def test_a_host_that_is_not_allowed_is_not_asked(
    near: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELKIT_REMOTES", "example.com")
    chat("far", "Hi", 400, "this server cannot run this remote model").play(near)
    generate("far", "Hi", 400, "this server cannot run this remote model").play(near)
    monkeypatch.delenv("MODELKIT_REMOTES")
    chat("far", "Hi", 400, "this server cannot run this remote model").play(near)


def test_a_local_suffix_does_not_leave_the_machine(near: Server) -> None:
    chat("far:local", "Hi", 404, "model 'far:local' not found").play(near)


def test_a_stub_of_the_cloud_needs_the_cloud(near: Server) -> None:
    create("cloudy", base="x:20b-cloud").play(near)
    expected = {"remote_model": "x:20b", "remote_host": "https://ollama.com:443"}
    show("cloudy", expected=expected).play(near)


@pytest.mark.parametrize("endpoint", ["/api/embed", "/api/embeddings", "/api/rerank"])
def test_what_is_not_passed_on_says_so(near: Server, endpoint: str) -> None:
    body = {"model": "far", "input": "a", "prompt": "a", "query": "a", "documents": ["b"]}
    assert near.post(endpoint, body).status == 501


def test_no_redirect_is_followed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELKIT_REMOTES", "127.0.0.1")
    away = Reply(302, headers={"Location": "http://127.0.0.1:1/api/chat"})
    with WebServer(lambda _: away) as web, running(store) as server:
        create("m", base="x", remote_host=web.url).play(server)
        answer = server.post("/api/chat", {"model": "m", "messages": USER})
    assert answer.status == 502
    assert len(web.requests) == 1


def test_a_server_that_is_away_or_breaks_off_is_an_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELKIT_REMOTES", "127.0.0.1")
    line = json.dumps({"model": "x", "message": {"role": "assistant", "content": "a"}}).encode()
    broken = Reply(
        body=line + b"\n" + line,
        headers={"Content-Type": "application/x-ndjson", "Content-Length": "999"},
        cut=len(line) + 1,
    )
    with WebServer(lambda _: broken) as web, running(store) as server:
        create("m", base="x", remote_host=web.url).play(server)
        create("away", base="x", remote_host="127.0.0.1:1").play(server)
        answer = server.post("/api/chat", {"model": "m", "messages": USER})
        chat("away", "Hi", 502, "127.0.0.1:1 does not answer").play(server)
    assert answer.status == 200
    assert answer.lines[0]["message"]["content"] == "a"
    assert answer.lines[-1] == {"error": "the other server broke off its answer"}


# The cloud


def verify(request: Request, key: Path) -> None:
    """The request is signed by this machine's key."""
    public, signature = request.headers["authorization"].split(":")
    raw = base64.b64decode(public)
    assert public == key.with_suffix(".pub").read_text().split()[1]
    assert "ts=" in urlsplit(request.path).query
    text = f"{request.method},{request.path}".encode()
    Ed25519PublicKey.from_public_bytes(raw[-32:]).verify(base64.b64decode(signature), text)


def test_a_model_of_the_cloud_is_asked_there(
    server: Server, upstream: Server, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELKIT_CLOUD_BASE_URL", f"{upstream.url}/ignored")
    Step("GET /api/status", expected='{"cloud":{"disabled":false,"source":"none"}}').play(server)
    expected = {"model": "tiny", "done": True, "eval_count": 8}
    for name in ("tiny:cloud", "tiny:latest-cloud"):
        expected["model"] = name.replace(":cloud", "").replace("-cloud", "")
        chat(name, "Hi", 200, expected, options=FAST).play(server)


def test_requests_to_the_cloud_are_signed(
    server: Server, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = {"id": "1", "email": "a@example.com", "name": "ann", "plan": "", "secret": "x"}
    found = b'{"results":[]}'

    def respond(request: Request) -> Reply:
        if "/api/web_" in request.path:
            return Reply(429, found, {"Content-Type": "application/json"})
        return Reply(body=json.dumps(user).encode())

    with WebServer(respond) as web:
        monkeypatch.setenv("OLLAMA_CLOUD_BASE_URL", web.url)
        me = server.post("/api/me")
        search = server.request(
            "POST", "/api/experimental/web_search", {"query": "x"}, {"Authorization": "Bearer x"}
        )
        out = server.post("/api/signout")
        old = server.request("DELETE", "/api/user/keys/abc")
    for request in web.requests:
        verify(request, key)
    assert me.body == b'{"id":"1","email":"a@example.com","name":"ann","plan":"free"}'
    assert (search.status, search.body) == (429, found)
    assert (out.status, out.body, old.body) == (200, b"null", b"null")
    deleted = [request.path.partition("?")[0] for request in web.asked("DELETE", "/api/user/keys/")]
    line = key.with_suffix(".pub").read_text().strip().encode()
    known = base64.urlsafe_b64encode(line).decode().rstrip("=")
    assert deleted == [f"/api/user/keys/{known}", "/api/user/keys/abc"]


def test_who_is_not_signed_in_is_told_where(
    server: Server, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"error": "unauthorized"}
    with WebServer(lambda _: Reply(401, json.dumps(refused).encode())) as web:
        monkeypatch.setenv("MODELKIT_CLOUD_BASE_URL", web.url)
        answer = server.post("/api/me")
        assert (answer.status, answer.error) == (401, "unauthorized")
        assert answer.json["signin_url"].startswith("https://ollama.com/connect?name=")
        Step("POST /api/signout", None, 401, "you are not currently signed in").play(server)
    Step("POST /api/me", None, 503, "account unavailable").play(server)
    Step("POST /api/signout", None, 500, "there was an error signing out").play(server)
    key.unlink()
    Step("POST /api/me", None, 500, "error getting authorization details").play(server)
    search = "POST /api/experimental/web_search"
    Step(search, {"query": "x"}, 401, "unauthorized").play(server)


def test_without_a_cloud_nothing_leaves_the_machine(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    Step("POST /api/me", None, 401, "unauthorized").play(server)
    Step("POST /api/signout", None, 401, "you are not currently signed in").play(server)
    for address in ("http://example.com", "ftp://127.0.0.1", "nonsense", "http://127.0.0.1:1"):
        monkeypatch.setenv("MODELKIT_CLOUD_BASE_URL", address)
        off = address != "http://127.0.0.1:1"
        status = {"cloud": {"disabled": off, "source": "none"}}
        Step("GET /api/status", expected=status).play(server)
    folder = Path.home() / ".ollama"
    folder.mkdir(parents=True)
    (folder / "server.json").write_text('{"disable_ollama_cloud": true}')
    status = {"cloud": {"disabled": True, "source": "config"}}
    Step("GET /api/status", expected=status).play(server)
    monkeypatch.setenv("OLLAMA_NO_CLOUD", "1")
    status["cloud"]["source"] = "both"
    Step("GET /api/status", expected=status).play(server)


def test_recommended_models_are_those_that_can_be_used(server: Server) -> None:
    models = server.request("GET", "/api/experimental/model-recommendations").json
    assert [model["model"] for model in models["recommendations"]] == ["gemma4", "qwen3.5"]
