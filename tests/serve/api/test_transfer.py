"""/api/pull and /api/push against docker-registry."""

import json
import threading
import time
from pathlib import Path

import ollama
import pytest

from modelkit.manifest import Manifest
from modelkit.names import ModelName
from modelkit.store import Store
from tests.registry.servers import (
    MIB,
    DockerRegistry,
    Reply,
    Request,
    WebServer,
    pattern,
    serve_model,
)
from tests.registry.servers import add_model as add_plain_model
from tests.serve.api.harness import Server, running


@pytest.fixture
def name(registry: DockerRegistry, store: Store, models: Store) -> str:
    """A model in the test's store under a name on the registry."""
    source = ModelName.parse("tiny")
    manifest = models.manifest(source)
    for descriptor in manifest.descriptors():
        store.add_file(models.blob_path(descriptor.digest))
    full = registry.name("lab/tiny:v1")
    store.write_manifest(full, manifest)
    return full.full


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    """Another machine's store."""
    return Store(tmp_path / "other")


def manifest_of(store: Store, name: str) -> Manifest:
    return store.manifest(ModelName.parse(name))


def test_the_client_pushes_and_pulls_the_same_model(
    server: Server, empty: Store, name: str
) -> None:
    with server.client() as client:
        pushed = list(client.push(name, stream=True))
    assert [pushed[0].status, pushed[-2].status, pushed[-1].status] == [
        "retrieving manifest",
        "pushing manifest",
        "success",
    ]
    assert any(str(step.status).startswith("pushing ") and step.digest for step in pushed)
    with running(empty) as other, other.client() as client:
        pulled = list(client.pull(name, stream=True))
        assert client.generate(name, "a", options={"num_predict": 2}).done
    assert pulled[0].status == "pulling manifest"
    assert [step.status for step in pulled[-3:]] == [
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    weights = [step for step in pulled if step.total and step.total > 100_000]
    assert weights[-1].completed == weights[-1].total
    assert manifest_of(empty, name).raw == manifest_of(server.store, name).raw


def test_without_a_stream_success_is_all_there_is(server: Server, empty: Store, name: str) -> None:
    answer = server.post("/api/push", {"name": name, "stream": False})
    assert (answer.status, answer.body) == (200, b'{"status":"success"}')
    assert answer.headers["content-type"] == "application/json"
    with running(empty) as other:
        assert other.post("/api/pull", {"name": name, "stream": False}).body == answer.body


def test_pulling_what_the_registry_does_not_have(server: Server, registry: DockerRegistry) -> None:
    body = {"model": registry.name("lab/none").full}
    answer = server.post("/api/pull", body)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.lines == [
        {"status": "pulling manifest"},
        {"error": "pull model manifest: file does not exist"},
    ]
    whole = server.post("/api/pull", body | {"stream": False})
    assert (whole.status, whole.error) == (500, "pull model manifest: file does not exist")


def test_pushing_what_is_not_in_the_store(server: Server) -> None:
    answer = server.post("/api/push", {"model": "127.0.0.1:1/lab/none"})
    path = server.store.manifests / "127.0.0.1:1/lab/none/latest"
    assert answer.status == 200
    assert answer.lines == [
        {"status": "retrieving manifest"},
        {"status": "couldn't retrieve manifest"},
        {"error": f"open {path}: no such file or directory"},
    ]
    whole = server.post("/api/push", {"model": "127.0.0.1:1/lab/none", "stream": False})
    assert whole.status == 500


def test_pushing_under_a_name_that_is_none(server: Server) -> None:
    answer = server.post("/api/push", {"model": "a b"})
    assert answer.lines == [
        {"status": "retrieving manifest"},
        {"error": "unqualified name: a b"},
    ]


def test_an_unreachable_registry_is_one_error_line(server: Server) -> None:
    answer = server.post("/api/pull", {"model": "127.0.0.1:1/lab/none"})
    assert "error" in answer.lines[-1]
    assert "\n" not in answer.lines[-1]["error"]


def test_the_trust_policy_holds_for_the_api_too(
    server: Server, empty: Store, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.post("/api/push", {"model": name, "stream": False})
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"default": [{"type": "reject"}]}))
    monkeypatch.setenv("MODELKIT_POLICY", str(policy))
    with running(empty) as other:
        streamed = other.post("/api/pull", {"model": name})
        whole = other.post("/api/pull", {"model": name, "stream": False})
        assert other.request("GET", "/api/tags").json == {"models": []}
    assert "error" in streamed.lines[-1]
    assert whole.status == 403
    assert not empty.blobs.exists()


def test_a_base_model_is_pulled_before_the_build(server: Server, empty: Store, name: str) -> None:
    server.post("/api/push", {"model": name, "stream": False})
    with running(empty) as other, other.client() as client:
        steps = [step.status for step in client.create("m", from_=name, system="S", stream=True)]
        assert client.show("m").details
        with pytest.raises(ollama.ResponseError):
            client.create("n", from_="127.0.0.1:1/lab/none")
    assert steps[0] == "pulling manifest"
    assert steps[-1] == "success"


def test_a_client_that_leaves_stops_the_pull_and_it_can_go_on(store: Store, empty: Store) -> None:
    name = ModelName.parse("lab/m:v1")
    add_plain_model(store, name, pattern(8 * MIB))
    registry = serve_model(store, name)
    rates = [2 * MIB]

    def slowly(request: Request) -> Reply:
        reply = registry(request)
        reply.rate = rates[-1] if len(reply.body) > MIB else None
        return reply

    with WebServer(slowly) as web, running(empty) as server:
        body = {"model": web.name().full}
        connection = server.connect()
        connection.request("POST", "/api/pull", json.dumps(body))
        response = connection.getresponse()
        while b"completed" not in response.readline():
            pass
        response.close()
        connection.close()
        deadline = time.monotonic() + 20
        while any(thread.name == "modelkit-work" for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert server.request("GET", "/api/tags").json == {"models": []}
        rates.append(1024 * MIB)
        assert server.post("/api/pull", body).lines[-1] == {"status": "success"}
        assert empty.check(web.name()) == []
