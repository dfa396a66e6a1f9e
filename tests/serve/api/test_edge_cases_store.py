"""Edge cases 25 to 39: blobs, layers and manifests, as the API and a server's start show them."""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelkit.digest import Digest
from modelkit.names import ModelName
from modelkit.serve.server import tidy
from modelkit.store import Store
from tests.modelkit.gguf_files import gguf_bytes
from tests.registry.servers import WebServer, add_model, serve_model
from tests.serve.api.edges import Edge, Expected, Step, create, delete, each, edge, show
from tests.serve.api.harness import Answer, Server, running


def weights(name: str = "") -> bytes:
    """A GGUF of the architecture `test`, another one for each name."""
    extra = {"general.name": name} if name else {}
    return gguf_bytes({"general.architecture": "test", **extra})


def digest(data: bytes) -> str:
    return str(Digest.of(data))


def upload(address: object, data: bytes, status: int, expected: Expected = None) -> Step:
    return Step(f"POST /api/blobs/{address}", data, status, expected)


def head(address: object, status: int) -> Step:
    return Step(f"HEAD /api/blobs/{address}", None, status, "")


def built(name: str, data: bytes, **texts: Any) -> Step:
    return create(name, files={"test.gguf": digest(data)}, **texts)


def has_no_system(answer: Answer) -> bool:
    return "system" not in answer.json


OTHER = digest(b"other")
MERGED = b'{"stop":["a","b"],"temperature":0.6,"top_k":10,"top_p":0.7}\n'
GOLDEN_MERGED = b'{"stop":["USER:","ASSISTANT:"],"temperature":0.6,"top_k":10,"top_p":0.7}\n'
GOLDEN_CONFIG = "sha256:99759ad5b91e723db0393d698ffbb448b1b7df5ff6377a108c49254583b1bc8c"
SHARED, OLD, TEXTS, PARAMS = (weights(name) for name in ("shared", "old", "texts", "params"))

EDGES = [
    edge(
        25,
        head("sha256:zz", 400),
        head(digest(b"some"), 404),
        upload(digest(b"some"), b"some", 201),
        head(digest(b"some"), 200),
    ),
    edge(
        26,
        upload(digest(b"new"), b"new", 201, ""),
        upload(digest(b"new"), b"new", 200, ""),
        upload(
            OTHER, b"wrong", 400, f'digest mismatch, expected "{OTHER}", got "{digest(b"wrong")}"'
        ),
        head(digest(b"wrong"), 404),
    ),
    edge(
        27,
        upload(
            OTHER.replace(":", "-"),
            b"other",
            400,
            f'digest mismatch, expected "{OTHER.replace(":", "-")}", got "{OTHER}"',
        ),
    ),
    edge(
        31,
        upload(digest(SHARED), SHARED, 201),
        built("one", SHARED),
        built("two", SHARED, system="S"),
        delete("one"),
        head(digest(SHARED), 200),
        delete("two"),
        head(digest(SHARED), 404),
    ),
    edge(
        33,
        upload(digest(OLD), OLD, 201),
        built("again", OLD, template="{{ .Prompt }}!"),
        head(digest(b"{{ .Prompt }}!"), 200),
        built("again", OLD, template="{{ .Prompt }}?"),
        head(digest(b"{{ .Prompt }}!"), 404),
        head(digest(b"{{ .Prompt }}?"), 200),
    ),
    edge(
        34,
        upload(digest(TEXTS), TEXTS, 201),
        built("texts", TEXTS, system="You are Mario."),
        create("child", base="texts", system=""),
        show("child", expected={"system": "You are Mario."}),
        built("texts", TEXTS, system=""),
        show("texts", expected=has_no_system),
    ),
    edge(
        36,
        upload(digest(PARAMS), PARAMS, 201),
        built("params", PARAMS, parameters={"temperature": 1, "top_k": 10, "stop": ["a", "b"]}),
        create("merged", base="params", parameters={"temperature": 0.6, "top_p": 0.7}),
        head(digest(MERGED), 200),
    ),
    edge(
        37,
        upload(digest(weights()), weights(), 201),
        built("golden", weights()),
        head(GOLDEN_CONFIG, 200),
    ),
]

NUMBERS = {row.number for row in EDGES} | {28, 29, 30, 35, 38, 39}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(Store(tmp_path_factory.mktemp("edges") / "models")) as server:
        yield server


@each(EDGES)
def test_the_store_is_as_the_reference_leaves_it(server: Server, row: Edge) -> None:
    row.play(server)


def test_36_merged_parameters_have_the_references_digest() -> None:
    assert Digest.of(GOLDEN_MERGED).hex.startswith("e29a7b3c47287a24")


def lay(store: Store, name: str, age: float) -> Path:
    store.blobs.mkdir(parents=True, exist_ok=True)
    path = store.blobs / name
    path.write_bytes(b"x")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_28_a_start_removes_old_blobs_that_nothing_needs(store: Store) -> None:
    old, young = lay(store, f"sha256-{'0' * 64}", 7200), lay(store, f"sha256-{'1' * 64}", 600)
    tidy(store)
    assert (old.exists(), young.exists()) == (False, True)


def test_29_with_one_damaged_manifest_a_start_removes_nothing(store: Store) -> None:
    old = lay(store, f"sha256-{'0' * 64}", 7200)
    manifest = store.manifest_path(ModelName.parse("broken"))
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{")
    tidy(store)
    assert old.exists()


def test_30_a_start_renames_blobs_of_the_old_spelling(store: Store) -> None:
    lay(store, "sha256:abcd", 0)
    other = lay(store, "sha259:5678", 0)
    tidy(store)
    assert (store.blobs / "sha256-abcd").exists()
    assert other.exists()


def test_35_what_is_no_manifests_path_is_not_listed(server: Server) -> None:
    before = server.request("GET", "/api/tags").body
    for path in ("h/n/m/.hidden", "h/n/m/t/deeper", "h/n/m2"):
        place = server.store.manifests / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("{}")
    assert server.request("GET", "/api/tags").body == before


def test_38_a_models_digest_is_its_manifests(server: Server) -> None:
    upload(digest(weights("id")), weights("id"), 201).play(server)
    built("id", weights("id")).play(server)
    raw = server.store.manifest_path(ModelName.parse("id")).read_bytes()
    [tag] = [
        tag for tag in server.request("GET", "/api/tags").json["models"] if "id:" in tag["name"]
    ]
    assert tag["digest"] == hashlib.sha256(raw).hexdigest()


def test_39_a_pulled_manifest_keeps_its_bytes(server: Server, store: Store) -> None:
    name = ModelName.parse("lab/m:v1")
    raw = add_model(store, name, weights("pulled")).raw
    pretty = json.dumps(json.loads(raw), indent=3).encode()
    store.manifest_path(name).write_bytes(pretty)
    with WebServer(serve_model(store, name)) as web:
        Step("POST /api/pull", {"model": web.name().full, "stream": False}).play(server)
        assert server.store.manifest_path(web.name()).read_bytes() == pretty
