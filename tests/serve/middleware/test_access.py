"""Who may call which route, and how each API words its refusal."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import ollama
import pytest

from modelkit.address import Address
from modelkit.cli.server import Server as Client
from modelkit.errors import ModelkitError, UsageError
from modelkit.serve.app import create_app
from modelkit.serve.keys import KeyFile
from modelkit.serve.middleware.access import OPEN, scope_of
from modelkit.serve.server import required_keys
from modelkit.store import Store
from tests.serve.api.harness import Answer, Server
from tests.serve.api.test_server import first_line

ROUTES = [
    ("POST", "/api/generate", "infer"),
    ("POST", "/api/chat", "infer"),
    ("POST", "/api/embed", "infer"),
    ("POST", "/api/embeddings", "infer"),
    ("POST", "/v1/chat/completions", "infer"),
    ("POST", "/v1/messages", "infer"),
    ("GET", "/api/tags", "read"),
    ("HEAD", "/api/tags", "read"),
    ("POST", "/api/show", "read"),
    ("GET", "/api/ps", "read"),
    ("GET", "/api/version", "read"),
    ("GET", "/v1/models", "read"),
    ("GET", "/metrics", "read"),
    ("POST", "/api/create", "admin"),
    ("POST", "/api/pull", "admin"),
    ("POST", "/api/push", "admin"),
    ("POST", "/api/copy", "admin"),
    ("DELETE", "/api/delete", "admin"),
    ("HEAD", f"/api/blobs/sha256:{'0' * 64}", "admin"),
    ("POST", f"/api/blobs/sha256:{'0' * 64}", "admin"),
]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_each_route_asks_for_its_scope(
    guarded: Server, keys: dict[str, str], method: str, path: str, scope: str
) -> None:
    statuses = {
        name: guarded.request(method, path, {}, bearer(key)).status for name, key in keys.items()
    }
    allowed = {name for name, status in statuses.items() if status not in (401, 403)}
    assert allowed == {scope, "admin"}
    assert guarded.request(method, path, {}).status == 401


def test_what_no_line_of_the_table_names_is_for_admin(store: Store) -> None:
    rules = {rule.rule for rule in create_app(store).url_map.iter_rules()}
    assert {rule for rule in rules if scope_of(rule) is None} == OPEN
    changing = {rule for rule in rules if scope_of(rule) == "admin"}
    assert changing >= {"/api/create", "/api/pull", "/api/push", "/api/copy", "/api/delete"}
    assert scope_of("/api/anything-new") == "admin"


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
def test_whether_it_runs_is_told_to_everybody(guarded: Server, path: str) -> None:
    assert guarded.request("GET", path).status == 200


@pytest.mark.parametrize(("path", "status"), [("/nope", 404), ("/api/tags/", 301)])
def test_a_path_without_a_route_needs_no_key(guarded: Server, path: str, status: int) -> None:
    assert guarded.request("GET", path).status == status


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer KEY"},
        {"authorization": "bearer  KEY "},
        {"X-Api-Key": "KEY"},
        {"x-api-key": "KEY", "Authorization": "Bearer placeholder"},
        {"x-api-key": "placeholder", "Authorization": "Bearer KEY"},
        {"x-api-key": "KEY", "Authorization": "c3NoLWVkMjU1MTk:signature"},
    ],
)
def test_a_key_may_come_in_either_header(
    guarded: Server, keys: dict[str, str], headers: dict[str, str]
) -> None:
    sent = {name: value.replace("KEY", keys["read"]) for name, value in headers.items()}
    assert guarded.request("GET", "/api/tags", headers=sent).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": "KEY"},
        {"Authorization": "Basic KEY"},
        {"Authorization": "Bearer KEYx"},
        {"X-Api-Key": "mk-\xff"},
        {"Cookie": "key=KEY"},
    ],
)
def test_anything_else_is_no_key(
    guarded: Server, keys: dict[str, str], headers: dict[str, str]
) -> None:
    sent = {name: value.replace("KEY", keys["read"]) for name, value in headers.items()}
    answer = guarded.request("GET", "/api/tags", headers=sent)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def native(answer: Answer) -> str:
    assert set(answer.json) <= {"error", "hint"}
    return answer.error


def of_openai(answer: Answer) -> str:
    assert set(answer.json["error"]) >= {"message", "type", "param", "code"}
    return str(answer.json["error"]["message"])


def of_anthropic(answer: Answer) -> str:
    kinds = {401: "authentication_error", 403: "permission_error"}
    assert answer.json["type"] == "error"
    assert answer.json["error"]["type"] == kinds[answer.status]
    return str(answer.json["error"]["message"])


@pytest.mark.parametrize(
    ("path", "message_of"),
    [
        ("/api/chat", native),
        ("/api/pull", native),
        ("/v1/chat/completions", of_openai),
        ("/v1/completions", of_openai),
        ("/v1/embeddings", of_openai),
        ("/v1/messages", of_anthropic),
    ],
)
def test_each_api_words_the_refusal_in_its_own_way(
    guarded: Server, keys: dict[str, str], path: str, message_of: Callable[[Answer], str]
) -> None:
    without = guarded.post(path, {})
    assert without.status == 401
    assert message_of(without).startswith("this server needs an API key")
    wrong = guarded.request("POST", path, {}, bearer("sk-none"))
    assert wrong.status == 401
    assert message_of(wrong).startswith("this API key is not valid")
    poor = guarded.request("POST", path, {}, bearer(keys["read"]))
    assert poor.status == 403
    assert "the API key 'read' lacks the scope" in message_of(poor)


def test_a_key_works_from_its_making_to_its_end(guarded: Server, key_file: KeyFile) -> None:
    key = key_file.create("short-lived", ("read",))
    assert guarded.request("GET", "/api/tags", headers=bearer(key)).status == 200
    key_file.revoke("short-lived")
    assert guarded.request("GET", "/api/tags", headers=bearer(key)).status == 401


def test_ollamas_client_and_our_own_send_a_key(
    guarded: Server, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ollama.Client(host=guarded.url, headers=bearer(keys["read"])) as client:
        assert client.list().models == []
        with pytest.raises(ollama.ResponseError) as refused:
            client.chat("tiny")
    assert refused.value.status_code == 403
    with pytest.raises(ModelkitError, match="this server needs an API key"):
        Client(guarded.url).call("GET", "/api/tags")
    monkeypatch.setenv("MODELKIT_API_KEY", keys["read"])
    assert Client(guarded.url).call("GET", "/api/tags") == {"models": []}


@pytest.mark.parametrize(
    ("loopback", "settings", "asks"),
    [
        (True, {}, False),
        (True, {"MODELKIT_REQUIRE_KEYS": "1"}, True),
        (True, {"MODELKIT_REQUIRE_KEYS": "1", "MODELKIT_NO_AUTH": "1"}, False),
        (False, {}, True),
        (False, {"MODELKIT_NO_AUTH": "1"}, False),
        (False, {"MODELKIT_NO_AUTH": "0"}, True),
    ],
)
def test_keys_are_asked_for_beyond_loopback(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    loopback: bool,
    settings: dict[str, str],
    asks: bool,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    keys, address = KeyFile.of(store), Address.parse("0.0.0.0:1")
    if asks:
        with pytest.raises(UsageError, match="needs API keys"):
            required_keys(keys, loopback, address)
    keys.create("a", ("infer",))
    assert required_keys(keys, loopback, address) is (keys if asks else None)


def serve(**settings: str) -> subprocess.Popen[str]:
    """`modelkit serve` on every interface."""
    command = [sys.executable, "-m", "modelkit", "serve", "--listen", "0.0.0.0:0"]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, **settings}
    )


def test_without_keys_and_without_consent_nothing_is_served_to_others(models: Store) -> None:
    process = serve()
    _, text = process.communicate(timeout=60)
    assert process.returncode == 2
    assert text.startswith("Error: http://0.0.0.0:0 needs API keys, and ")
    assert "`modelkit key create NAME`" in text
    assert "MODELKIT_NO_AUTH=1" in text
    assert text.count("\n") == 1


@pytest.mark.parametrize("with_key", [True, False])
def test_with_a_key_or_with_consent_others_are_served(
    models: Store, monkeypatch: pytest.MonkeyPatch, with_key: bool
) -> None:
    key = KeyFile.of(models).create("a", ("read",)) if with_key else ""
    process = serve() if with_key else serve(MODELKIT_NO_AUTH="1")
    try:
        port = first_line(process).rpartition(":")[2].strip()
        url = f"http://127.0.0.1:{port}"
        if with_key:
            with pytest.raises(ModelkitError, match="this server needs an API key"):
                Client(url).call("GET", "/api/tags")
            monkeypatch.setenv("MODELKIT_API_KEY", key)
        assert Client(url).call("GET", "/api/tags") == {"models": []}
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_keys_are_looked_up_only_when_asked_for(open_server: Server) -> None:
    answer = open_server.request("GET", "/api/tags", headers=bearer("anything"))
    assert [model["name"] for model in json.loads(answer.body)["models"]] == ["tiny:latest"]
