"""Push, sign and pull under a policy, through the embedded registry."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelkit.digest import Digest
from modelkit.errors import ModelkitError, Refused
from modelkit.manifest import Manifest, MediaType
from modelkit.names import ModelName
from modelkit.registry.transfer import pull, push
from modelkit.registry.trust import bundle, simplesigning
from modelkit.registry.trust.identity import MatchExact, MatchRepository
from modelkit.registry.trust.keys import PrivateKey, PublicKey
from modelkit.registry.trust.policy import Policy
from modelkit.registry.trust.signing import StoreSignatures, sign, verify
from modelkit.store import Store
from tests.registry.embedded import Registry, add_model, new_key, running_registry

COSIGN = Path(__file__).with_name("data") / "cosign_signatures.json"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Registry]:
    with running_registry(Store(tmp_path / "served")) as registry:
        yield registry


@pytest.fixture
def origin(tmp_path: Path) -> Store:
    """The store of whoever publishes."""
    return Store(tmp_path / "origin")


@pytest.fixture
def key(tmp_path: Path) -> PrivateKey:
    return new_key(tmp_path)


def policy(folder: Path, host: str, key_file: str = "key.pem.pub") -> Policy:
    signed = {"type": "sigstoreSigned", "keyPath": key_file}
    value = {"default": [{"type": "reject"}], "transports": {"docker": {host: [signed]}}}
    (folder / "policy.json").write_text(json.dumps(value))
    return Policy.load(folder / "policy.json")


def published(origin: Store, registry: Registry, key: PrivateKey | None) -> ModelName:
    """A model pushed to the registry, signed or not."""
    name = ModelName.parse(f"{registry.host}/lab/model:v1")
    add_model(origin, name, bytes(100_000))
    if key is not None:
        sign(name, origin, key)
    push(name, origin)
    return name


def refused(name: ModelName, store: Store, rules: Policy, match: str) -> None:
    with pytest.raises(Refused, match=match) as error:
        pull(name, store, policy=rules)
    assert name.full in error.value.message
    assert store.names() == []
    assert not store.blobs.exists() or list(store.blobs.iterdir()) == []


def test_a_signed_model_is_pulled_with_its_signatures(
    served: Registry, origin: Store, store: Store, key: PrivateKey, tmp_path: Path
) -> None:
    name = published(origin, served, key)
    rules = policy(tmp_path, served.host)
    manifest = pull(name, store, policy=rules)
    assert manifest == origin.manifest(name)
    assert store.check(name) == []
    kept = rules.check(name, manifest.raw, StoreSignatures(store, name))
    assert [item.format for item in kept.signatures] == ["cosign", "bundle"]


def test_an_unsigned_model_is_refused(
    served: Registry, origin: Store, store: Store, key: PrivateKey, tmp_path: Path
) -> None:
    name = published(origin, served, None)
    refused(name, store, policy(tmp_path, served.host), "no signature")


def test_the_wrong_key_is_refused(
    served: Registry, origin: Store, store: Store, key: PrivateKey, tmp_path: Path
) -> None:
    new_key(tmp_path, "other.pem")
    name = published(origin, served, key)
    rules = policy(tmp_path, served.host, "other.pem.pub")
    refused(name, store, rules, "not signed by a trusted key")


def test_a_manifest_changed_on_the_registry_is_refused(
    served: Registry, origin: Store, store: Store, key: PrivateKey, tmp_path: Path
) -> None:
    name = published(origin, served, key)
    stored = served.store.manifests / "registry.ollama.ai/lab/model/v1"
    stored.write_bytes(stored.read_bytes().replace(b"image.model", b"image.modem"))
    refused(name, store, policy(tmp_path, served.host), "no signature")


def test_another_model_under_the_signed_name_is_refused(
    served: Registry, origin: Store, store: Store, key: PrivateKey, tmp_path: Path
) -> None:
    """The signatures are moved along to the new manifest; they still name the old one."""
    name = published(origin, served, key)
    old = origin.manifest(name).digest
    new = Digest.of(served.push_model("lab/model", "v1", b"other weights"))
    folder = served.store.signatures.manifests / "registry.ollama.ai/lab/model"
    (folder / f"{old.filename}.sig").rename(folder / f"{new.filename}.sig")
    refused(name, store, policy(tmp_path, served.host), "the signature is for another manifest")


def test_an_old_signed_manifest_under_another_tag_is_refused(
    served: Registry, origin: Store, store: Store, key: PrivateKey, tmp_path: Path
) -> None:
    name = published(origin, served, key)
    raw = origin.manifest(name).raw
    path = "lab/model/manifests/v2"
    assert served.call("PUT", path, raw, Content_Type=MediaType.MANIFEST_V2).status == 201
    rules = policy(tmp_path, served.host)
    refused(name.with_tag("v2"), store, rules, "the signature is for another name")


def test_a_blob_changed_on_the_registry_is_not_taken(
    served: Registry, origin: Store, store: Store, key: PrivateKey, tmp_path: Path
) -> None:
    name = published(origin, served, key)
    layer = origin.manifest(name).layers[0].digest
    path = served.store.blob_path(layer)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(ModelkitError, match="digest mismatch"):
        pull(name, store, policy=policy(tmp_path, served.host))
    assert store.names() == []
    assert not store.has_blob(layer)


def test_both_ways_to_log_in_serve_the_whole_job(
    origin: Store, tmp_path: Path, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bearer in (False, True):
        served = Store(tmp_path / f"served-{bearer}")
        with running_registry(served, users={"alice": "wonder"}, bearer=bearer) as registry:
            auths = {registry.host: {"auth": "YWxpY2U6d29uZGVy"}}
            (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
            monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
            name = published(origin, registry, key)
            target = Store(tmp_path / f"target-{bearer}")
            pull(name, target, policy=policy(tmp_path, registry.host))
            assert target.check(name) == []


def test_a_signature_added_later_joins_those_on_the_registry(
    served: Registry, origin: Store, store: Store, key: PrivateKey, tmp_path: Path
) -> None:
    name = published(origin, served, key)
    pull(name, store, policy=policy(tmp_path, served.host))
    second = new_key(tmp_path, "second.pem")
    sign(name, store, second)
    push(name, store)
    reader = Store(tmp_path / "reader")
    manifest = pull(name, reader, policy=policy(tmp_path, served.host, "second.pem.pub"))
    both = [key.public, second.public]
    found = verify(name, manifest.raw, StoreSignatures(reader, name), both)
    assert len(found.signatures) == 4
    assert not found.failures


def test_signatures_that_cosign_made_count(store: Store) -> None:
    """Bytes written by cosign 2.5.0 (.sig) and 3.1.1 (bundle), with cosign's ECDSA key."""
    made = json.loads(COSIGN.read_text())
    key = PublicKey.parse(made["public_key"].encode())
    manifest = Manifest.parse(made["manifest"].encode())
    name = ModelName.parse("127.0.0.1:5999/lab/m:v1")
    source = StoreSignatures(store, name)
    with source.changing():
        for data in (made["payload"], made["bundle"], "{}"):
            source.put_blob(data.encode())
        simplesigning.attach([made["layer"]], manifest.digest, source)
        raw = made["artifact"].encode()
        source.put_manifest(str(Digest.of(raw)), raw, MediaType.OCI_MANIFEST)
    assert source.manifest(bundle.tag(manifest.digest)) is not None
    found = verify(name, manifest.raw, source, [key])
    assert [item.format for item in found.signatures] == ["cosign", "bundle"]
    # cosign signs the repository in its payload, and no name at all in its bundle.
    by_repository = verify(name, manifest.raw, source, [key], MatchRepository())
    assert [item.format for item in by_repository.signatures] == ["cosign"]
    assert not verify(name, manifest.raw, source, [key], MatchExact()).verified
    assert not verify(name, manifest.raw + b" ", source, [key]).verified
