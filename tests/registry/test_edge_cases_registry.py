"""Edge cases 60 to 68 of the second list: what goes over the wire between us and registries.

The other cases of pulls, tokens and pushes are tests beside this one; tests/test_edge_cases.py
names them.
"""

import base64
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from modelkit.errors import DigestMismatch
from modelkit.manifest import Manifest
from modelkit.names import ModelName
from modelkit.registry.auth.credentials import store as store_credentials
from modelkit.registry.client import RegistryClient
from modelkit.registry.transfer import download, pull, push
from modelkit.registry.trust.keys import generate_openssh
from modelkit.store import Store
from tests.cli import Modelkit
from tests.registry.servers import (
    MIB,
    Reply,
    Request,
    WebServer,
    add_model,
    pattern,
    serve_model,
)
from tests.registry.test_auth import HASH_OF_NOTHING
from tests.registry.test_push import UploadServer

NUMBERS = {60, 63, 65, 66, 67, 68}
NAME = ModelName.parse("lab/m:v1")


@pytest.fixture
def origin(tmp_path: Path) -> Store:
    """The store that models are served from."""
    return Store(tmp_path / "origin")


@pytest.mark.parametrize("damage", [False, True])
def test_60_a_config_that_is_a_layer_too_is_checked_once_and_for_all(
    origin: Store, store: Store, damage: bool
) -> None:
    manifest = add_model(origin, NAME, b"weights")
    assert manifest.config is not None
    twice = Manifest.new(manifest.config, [*manifest.layers, manifest.config])
    origin.write_manifest(NAME, twice)
    path = origin.blob_path(manifest.config.digest)
    if damage:
        path.write_bytes(path.read_bytes().replace(b"llama", b"gemma"))
    with WebServer(serve_model(origin, NAME)) as web:
        if damage:
            with pytest.raises(DigestMismatch):
                pull(web.name(), store)
            assert store.names() == []
            return
        pull(web.name(), store)
        assert len(web.asked("GET", str(manifest.config.digest))) == 1
        assert store.check(web.name()) == []


def test_63_the_key_signs_the_very_url_of_the_token() -> None:
    path = Path.home() / ".ollama" / "id_ed25519"
    generate_openssh(path)
    line = 'Bearer realm="{}/token",service="lab",scope="repository:a:pull repository:b:push"'

    def respond(request: Request) -> Reply:
        if request.headers.get("authorization") == "Bearer t":
            return Reply()
        if not request.path.startswith("/token"):
            return Reply(401, headers={"WWW-Authenticate": line.format(web.url)})
        signed = "authorization" in request.headers
        return Reply(body=b'{"token":"t"}') if signed else Reply(401)

    with WebServer(respond) as web, RegistryClient(web.host) as client:
        client.ping()
    asked = web.asked("GET", "/token")[-1]
    public, _, signature = asked.headers["authorization"].partition(":")
    known = path.with_suffix(".pub").read_bytes()
    assert public == known.split()[1].decode()
    key = load_ssh_public_key(known)
    text = f"GET,{web.url}{asked.path},{HASH_OF_NOTHING}"
    assert isinstance(key, Ed25519PublicKey)
    key.verify(base64.b64decode(signature), text.encode())
    query = parse_qsl(urlsplit(asked.path).query)
    assert [name for name, _ in query] == ["nonce", "scope", "scope", "service", "ts"]
    assert [value for name, value in query if name == "scope"] == [
        "repository:a:pull",
        "repository:b:push",
    ]


# A difference: neither X-Redirect-Uploads nor an etag goes along, for no registry needs them.
@pytest.mark.parametrize(("number", "mounted"), [(65, True), (65, False), (66, False)])
def test_a_layer_with_a_source_is_mounted_or_sent(store: Store, number: int, mounted: bool) -> None:
    def fault(request: Request, _server: UploadServer) -> Reply | None:
        if (request.method, "/manifests/" in request.path) == ("PUT", True):
            return Reply(201)
        return Reply(201) if mounted and "mount=" in request.path else None

    with WebServer(UploadServer(fault).respond) as web:
        base = add_model(store, web.name("lab/base:v1"), b"weights")
        assert base.config is not None
        layer = replace(base.layers[0], from_=f"{web.host}/lab/base:v1")
        store.write_manifest(web.name(), Manifest.new(base.config, [layer]))
        push(web.name(), store)
    patches = [item for item in web.asked("PATCH", "") if item.body == b"weights"]
    ranges = [item.headers["content-range"] for item in patches]
    assert ranges == ([] if mounted else ["0-6"])
    [manifest] = web.asked("PUT", "/manifests/v1")
    after = web.requests[web.requests.index(manifest) :]
    assert not [item for item in after if "/blobs/" in item.path]


def test_67_a_push_without_rights_says_how_to_get_them(modelkit: Modelkit, models: Store) -> None:
    locked = Reply(401, headers={"WWW-Authenticate": 'Basic realm="lab"'})
    with WebServer(lambda _: locked) as web:
        add_model(models, web.name(), b"weights")
        store_credentials(web.host, "alice", "wrong")
        line = modelkit.fails(1, "push", web.name().full)
    assert "unauthorized: access denied" in line
    assert f"modelkit login {web.host}" in line


def test_68_a_part_that_stalls_is_asked_for_again_without_end(
    origin: Store, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_PAUSES", (0.01, 0.01))
    defaults = RegistryClient.request.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "patience", 0.2)
    [layer, *_] = add_model(origin, NAME, pattern(2 * MIB)).layers
    steady, turns = serve_model(origin, NAME), iter(range(8))

    def respond(request: Request) -> Reply:
        reply = steady(request)
        if str(layer.digest) in request.path and next(turns, None) is not None:
            # So much is announced, and after a little of it nothing more comes.
            reply.headers["Content-Length"] = str(len(reply.body))
            reply.body = reply.body[:1000]
        return reply

    with WebServer(respond) as web:
        pull(web.name(), store)
        assert len(web.asked("GET", str(layer.digest))) == 9
        assert store.check(web.name()) == []
