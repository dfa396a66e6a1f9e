"""/api/blobs, create, tags, show, ps, copy and delete."""

import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any

import ollama
import pytest

from modelkit.digest import Digest
from modelkit.names import ModelName
from modelkit.serve.app import create_app
from modelkit.store import Store
from tests.serve.api.harness import Answer, Server, derive

WEIGHTS = "model.gguf"


@pytest.fixture
def weights(models: Store) -> Path:
    """A small GGUF file."""
    manifest = models.manifest(ModelName.parse("tiny"))
    return models.blob_path(manifest.layers[0].digest)


@pytest.fixture
def digest(server: Server, weights: Path) -> str:
    """The digest of the GGUF file, which has been uploaded."""
    data = weights.read_bytes()
    text = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert server.request("POST", f"/api/blobs/{text}", data).status == 201
    return text


def create(server: Server, **body: Any) -> Answer:
    return server.post("/api/create", {"model": "m", "stream": False} | body)


def show(server: Server, name: str = "m", **body: Any) -> Any:
    answer = server.post("/api/show", {"model": name} | body)
    assert answer.status == 200, answer.body
    return answer.json


def names(server: Server) -> list[str]:
    return [model["name"] for model in server.request("GET", "/api/tags").json["models"]]


# Blobs


def test_a_blob_is_stored_once(server: Server) -> None:
    data = b"x" * 3_000_000
    path = f"/api/blobs/{Digest.of(data)}"
    assert server.request("HEAD", path).status == 404
    first, second = server.request("POST", path, data), server.request("POST", path, data)
    assert (first.status, first.body, second.status, second.body) == (201, b"", 200, b"")
    assert server.request("HEAD", path).status == 200
    assert server.store.read_blob(Digest.of(data)) == data


def test_a_blob_with_other_bytes_is_refused_and_not_kept(server: Server) -> None:
    wrong = str(Digest.of(b"right"))
    answer = server.request("POST", f"/api/blobs/{wrong}", b"wrong")
    actual = Digest.of(b"wrong")
    assert answer.status == 400
    assert answer.error == f'digest mismatch, expected "{wrong}", got "{actual}"'
    assert not list(server.store.blobs.iterdir())


def test_a_digest_in_another_spelling_does_not_match(server: Server) -> None:
    digest = Digest.of(b"data")
    for spelling in (digest.filename, f"sha256:{digest.hex.upper()}"):
        answer = server.request("POST", f"/api/blobs/{spelling}", b"data")
        assert answer.error == f'digest mismatch, expected "{spelling}", got "{digest}"'
    assert not server.store.has_blob(digest)


@pytest.mark.parametrize(
    "digest", ["sha256:zz", "md5:00", "sha256:" + "0" * 63, "..%2f..%2fx", "x"]
)
def test_a_malformed_digest_is_refused(server: Server, digest: str) -> None:
    assert server.request("HEAD", f"/api/blobs/{digest}").status in (400, 404)
    answer = server.request("POST", f"/api/blobs/{digest}", b"data")
    assert answer.status in (400, 404)


def test_an_upload_that_breaks_off_leaves_nothing(server: Server) -> None:
    connection = server.connect()
    connection.putrequest("POST", f"/api/blobs/{Digest.of(b'x')}")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    connection.send(b"x" * 500_000)
    wait_for(lambda: any(server.store.blobs.glob("tmp-*")))
    connection.close()
    wait_for(lambda: not list(server.store.blobs.iterdir()))


def wait_for(condition: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Create


def test_the_client_creates_a_model_from_a_file(server: Server, weights: Path) -> None:
    with server.client() as client:
        digest = client.create_blob(weights)
        statuses = [
            step.status
            for step in client.create(
                "mario",
                files={WEIGHTS: digest},
                system="You are Mario.",
                parameters={"temperature": 0.5, "stop": ["<|x|>"]},
                license=["MIT", "Apache-2.0"],
                messages=[{"role": "user", "content": "hi"}],
                stream=True,
            )
        ]
        assert statuses[0] == "parsing GGUF"
        assert statuses[-2:] == ["writing manifest", "success"]
        assert [name.model for name in client.list().models] == ["mario:latest"]
        shown = client.show("mario")
    assert shown.license == "MIT\nApache-2.0"
    assert shown.parameters
    assert "temperature                    0.5" in shown.parameters
    described = show(server, "mario")
    assert described["system"] == "You are Mario."
    assert described["messages"] == [{"role": "user", "content": "hi"}]


def test_the_client_creates_a_model_from_a_checkpoint_and_quantizes_it(
    server: Server, tiny_llama: Path
) -> None:
    with server.client() as client:
        files = {
            path.name: client.create_blob(path)
            for path in tiny_llama.iterdir()
            if path.suffix in (".json", ".safetensors")
        }
        steps = list(client.create("small", files=files, quantize="q8_0", stream=True))
    statuses = [step.status for step in steps]
    assert "converting model" in statuses
    assert any(str(status).startswith("quantizing") for status in statuses)
    assert statuses[-1] == "success"
    assert show(server, "small")["details"]["quantization_level"] == "Q8_0"


def test_without_a_stream_success_is_all_there_is(server: Server, digest: str) -> None:
    answer = create(server, files={WEIGHTS: digest})
    assert (answer.status, answer.body) == (200, b'{"status":"success"}')
    assert answer.headers["content-type"] == "application/json"


def test_a_model_from_another_inherits_and_overrides(server: Server, digest: str) -> None:
    create(server, model="base", files={WEIGHTS: digest}, system="S", parameters={"top_k": 10})
    create(server, **{"from": "base"}, parameters={"top_p": 0.5}, template="{{ .Prompt }}")
    shown = show(server)
    assert shown["system"] == "S"
    assert shown["template"] == "{{ .Prompt }}"
    assert shown["parameters"].split() == ["top_k", "10", "top_p", "0.5"]
    assert shown["details"]["parent_model"] == "base:latest"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 400, "neither 'from' or 'files' was specified"),
        ({"files": {}}, 400, "unknown type"),
        ({"files": {"../x.gguf": "sha256:" + "0" * 64}}, 400, "file path must be relative"),
        ({"files": {"/x.gguf": "sha256:" + "0" * 64}}, 400, "file path must be relative"),
        ({"files": {"x.gguf": ""}}, 400, "invalid digest format"),
        ({"files": {"x.gguf": "sha256:../../etc/passwd"}}, 400, "invalid digest format"),
        ({"from": "a b"}, 400, "invalid model name"),
        ({"from": "x:cloud:local"}, 400, None),
        ({"draft_quantize": "q8_0", "from": "x"}, 400, "--draft-quantize requires a DRAFT model"),
        ({"remote_host": "http://[", "from": "x"}, 400, "bad remote"),
        ({"remote_host": "http://x"}, 400, "neither 'from' or 'files' was specified"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(
    server: Server, body: dict[str, Any], status: int, message: str | None
) -> None:
    answer = create(server, **body)
    assert answer.status == status, answer.body
    assert message in (None, answer.error)
    assert names(server) == []


def test_a_blob_that_is_missing_is_named(server: Server) -> None:
    digest = Digest.of(b"nothing")
    answer = create(server, files={"x.gguf": str(digest)})
    path = server.store.blob_path(digest)
    assert (answer.status, answer.error) == (400, f"open {path}: no such file or directory")


def test_a_file_that_is_no_model_is_refused(server: Server) -> None:
    digest = Digest.of(b"hello")
    server.request("POST", f"/api/blobs/{digest}", b"hello")
    answer = create(server, files={"x.gguf": str(digest)})
    assert answer.status == 400
    assert answer.error.startswith("supplied file was not in GGUF format")
    streamed = create(server, files={"x.gguf": str(digest)}, stream=True)
    assert "error" in streamed.lines[-1]
    assert names(server) == []


def test_an_unknown_quantization_is_refused(server: Server, digest: str) -> None:
    answer = create(server, files={WEIGHTS: digest}, quantize="q99")
    assert answer.status == 400
    assert answer.error.startswith("unsupported quantization type Q99")


def test_a_license_is_text_or_a_list_of_texts(server: Server, digest: str) -> None:
    assert create(server, files={WEIGHTS: digest}, license="MIT").status == 200
    assert show(server)["license"] == "MIT"
    assert create(server, files={WEIGHTS: digest}, license=5).status == 400


def test_names_that_differ_in_case_are_one_model(server: Server, digest: str) -> None:
    create(server, model="Foo", files={WEIGHTS: digest})
    create(server, model="foo", files={WEIGHTS: digest}, system="S")
    assert names(server) == ["Foo:latest"]
    assert show(server, "FOO")["system"] == "S"


def test_a_client_that_leaves_stops_the_build(server: Server, tiny_llama: Path) -> None:
    with server.client() as client:
        files = {
            path.name: client.create_blob(path)
            for path in tiny_llama.iterdir()
            if path.suffix in (".json", ".safetensors")
        }
    before = {path.name for path in server.store.blobs.iterdir()}
    connection = server.connect()
    body = json.dumps({"model": "gone", "files": files, "quantize": "q4_K_M"})
    connection.request("POST", "/api/create", body)
    connection.getresponse().readline()
    connection.close()
    wait_for(lambda: not any(t.name == "modelkit-work" for t in threading.enumerate()), 30)
    if "gone:latest" not in names(server):
        assert {path.name for path in server.store.blobs.iterdir()} == before


# Tags, show, ps


def test_an_empty_store_has_no_models(server: Server) -> None:
    assert server.request("GET", "/api/tags").body == b'{"models":[]}'
    assert server.request("GET", "/api/ps").body == b'{"models":[]}'


def test_tags_tell_all_of_a_model_newest_first(server: Server, digest: str) -> None:
    create(server, model="old", files={WEIGHTS: digest})
    time.sleep(1.1)
    create(server, model="new", **{"from": "old"}, system="S")
    new, old = server.request("GET", "/api/tags").json["models"]
    assert (new["name"], old["name"]) == ("new:latest", "old:latest")
    assert list(new) == [
        "name",
        "model",
        "modified_at",
        "size",
        "digest",
        "details",
        "capabilities",
    ]
    assert list(new["details"]) == [
        "parent_model",
        "format",
        "family",
        "families",
        "parameter_size",
        "quantization_level",
        "context_length",
        "embedding_length",
    ]
    manifest = server.store.manifest(ModelName.parse("new"))
    assert (new["digest"], new["size"]) == (manifest.digest.hex, manifest.size)


def test_a_damaged_model_is_left_out_of_the_list(server: Server, digest: str) -> None:
    create(server, model="good", files={WEIGHTS: digest})
    broken = server.store.manifests / "registry.ollama.ai/library/bad/latest"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    assert names(server) == ["good:latest"]


def test_show_answers_in_order_with_arrays_only_on_request(shared: Server) -> None:
    shown = show(shared, "persona")
    assert [
        key for key in shown if key in ("modelfile", "details", "model_info", "modified_at")
    ] == [
        "modelfile",
        "details",
        "model_info",
        "modified_at",
    ]
    info = shown["model_info"]
    assert info["general.architecture"] == "llama"
    assert info["general.parameter_count"] > 0
    assert info["tokenizer.ggml.tokens"] is None
    assert not {"general.name", "tokenizer.chat_template"} & set(info)
    assert shown["template"].startswith("{")
    assert shown["tensors"][0].keys() == {"name", "type", "shape"}
    verbose = show(shared, "persona", verbose=True)["model_info"]
    assert len(verbose["tokenizer.ggml.tokens"]) == 512


def test_show_takes_the_older_key_and_another_system_text(shared: Server) -> None:
    assert shared.post("/api/show", {"name": "tiny"}).status == 200
    assert show(shared, "persona", system="Else")["system"] == "Else"


def test_show_writes_other_options_into_the_modelfile_alone(shared: Server) -> None:
    shown = show(shared, "tiny", options={"top_k": 7, "seed": 2})
    assert "PARAMETER top_k 7\n" in shown["modelfile"]
    assert "PARAMETER seed 2\n" in shown["modelfile"]
    assert "PARAMETER temperature 0\n" in shown["modelfile"]
    assert "top_k" not in shown["parameters"]


def test_show_tells_copilot_the_name_it_asked_for(shared: Server) -> None:
    headers = {"User-Agent": "GitHubCopilotChat/1.0"}
    answer = shared.request("POST", "/api/show", {"model": "tiny"}, headers)
    assert answer.json["model_info"]["general.basename"] == "tiny"


def test_show_of_a_model_without_its_weights_is_not_found(server: Server, digest: str) -> None:
    create(server, files={WEIGHTS: digest})
    server.store.blob_path(Digest.parse(digest)).unlink()
    answer = server.post("/api/show", {"model": "m"})
    assert (answer.status, answer.error) == (404, "model 'm:latest' not found")


def test_ps_lists_what_is_loaded(shared: Server) -> None:
    shared.post("/api/generate", {"model": "tiny", "keep_alive": -1, "options": {"num_ctx": 256}})
    shared.post("/api/embed", {"model": "minilm", "keep_alive": "10m"})
    with shared.client() as client:
        loaded = client.ps().models
    assert [model.name for model in loaded][:2] == ["tiny:latest", "minilm:latest"]
    tiny = shared.request("GET", "/api/ps").json["models"][0]
    assert list(tiny) == [
        "name",
        "model",
        "size",
        "digest",
        "details",
        "expires_at",
        "size_vram",
        "context_length",
    ]
    assert tiny["context_length"] == 256
    assert tiny["size"] > 0
    assert tiny["expires_at"] > "2300"
    assert tiny["digest"] == shared.store.manifest(ModelName.parse("tiny")).digest.hex


# Copy and delete


def test_a_copy_is_a_second_name(server: Server, digest: str) -> None:
    create(server, files={WEIGHTS: digest})
    with server.client() as client:
        client.copy("m", "ns/other:v1")
    assert sorted(names(server)) == ["m:latest", "ns/other:v1"]
    assert show(server, "ns/other:v1")["details"] == show(server)["details"]


def test_what_two_models_share_stays_until_both_are_gone(server: Server, digest: str) -> None:
    create(server, files={WEIGHTS: digest})
    derive(server.store, "child", "m", system="S")
    blob = server.store.blob_path(Digest.parse(digest))
    with server.client() as client:
        client.delete("m")
        assert blob.exists()
        client.delete("child")
        assert not blob.exists()
        with pytest.raises(ollama.ResponseError, match="model 'child' not found"):
            client.delete("child")


def test_a_name_with_spaces_around_it_is_deleted_too(server: Server, digest: str) -> None:
    create(server, files={WEIGHTS: digest})
    answer = server.request("DELETE", "/api/delete", {"model": " m "})
    assert (answer.status, answer.body) == (200, b"")


def test_an_application_needs_nothing_but_a_store(store: Store) -> None:
    assert create_app(store).url_map
