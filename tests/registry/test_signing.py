"""Signatures: the exact formats, several signers, independent verifiers, copies."""

import base64
import hashlib
import json
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from modelkit.digest import Digest
from modelkit.errors import ModelNotFound, SignatureError
from modelkit.manifest import Descriptor, Manifest, MediaType
from modelkit.names import ModelName
from modelkit.registry.trust import bundle, simplesigning
from modelkit.registry.trust.keys import PublicKey
from modelkit.registry.trust.signing import (
    Reason,
    StoreSignatures,
    keep_signatures,
    publish_signatures,
    sign,
    verify,
)
from modelkit.store import Store
from tests.registry.embedded import NAME, add_model, new_key


def openssl_verifies(public: bytes, message: bytes, signature: bytes, folder: Path) -> bool:
    """Whether openssl, too, sees a pure Ed25519 signature over the message itself."""
    for name, data in (("pub", public), ("message", message), ("signature", signature)):
        (folder / name).write_bytes(data)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-rawin", "-inkey", f"{folder}/pub"]
    command += ["-in", f"{folder}/message", "-sigfile", f"{folder}/signature"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def signature_manifest(store: Store, name: ModelName = NAME) -> Manifest:
    raw = StoreSignatures(store, name).manifest(f"{store.manifest(name).digest.filename}.sig")
    assert raw is not None
    return Manifest.parse(raw)


def bundle_manifests(store: Store, name: ModelName = NAME) -> list[Manifest]:
    source = StoreSignatures(store, name)
    raw = source.manifest(store.manifest(name).digest.filename)
    assert raw is not None
    raws = [source.manifest(str(entry.digest)) for entry in Manifest.parse(raw).manifests]
    return [Manifest.parse(raw) for raw in raws if raw is not None]


def test_a_signed_model_verifies_in_both_formats(store: Store, tmp_path: Path) -> None:
    manifest = add_model(store)
    key = new_key(tmp_path)
    made = sign(NAME, store, key)
    found = verify(NAME, manifest.raw, StoreSignatures(store, NAME), [key.public])
    assert found == made
    assert [item.format for item in found.signatures] == ["cosign", "bundle"]
    assert {item.reference for item in found.signatures} == {NAME.full}
    assert found.signatures[0].creator == "modelkit"
    assert found.signatures[0].key == key.public
    assert not found.failures
    found.require()


def test_the_payload_has_the_documented_bytes(store: Store, tmp_path: Path) -> None:
    digest = add_model(store).digest
    sign(NAME, store, new_key(tmp_path))
    layer = signature_manifest(store).layers[0]
    assert store.signatures.read_blob(layer.digest) == (
        b'{"critical":{"identity":{"docker-reference":"registry.example.com/lab/model:v1"},'
        b'"image":{"docker-manifest-digest":"' + str(digest).encode() + b'"},'
        b'"type":"cosign container image signature"},"optional":{"creator":"modelkit"}}'
    )


def test_the_signature_manifest_is_what_cosign_writes(store: Store, tmp_path: Path) -> None:
    add_model(store)
    sign(NAME, store, new_key(tmp_path))
    manifest = signature_manifest(store)
    assert manifest.media_type == MediaType.OCI_MANIFEST
    assert manifest.config is not None
    assert manifest.config.media_type == MediaType.OCI_CONFIG
    layer = manifest.layers[0]
    assert layer.media_type == "application/vnd.dev.cosign.simplesigning.v1+json"
    config = json.loads(store.signatures.read_blob(manifest.config.digest))
    assert config["rootfs"] == {"type": "layers", "diff_ids": [str(layer.digest)]}
    assert b" " not in manifest.raw


def test_openssl_verifies_the_payload(store: Store, tmp_path: Path) -> None:
    add_model(store)
    key, other = new_key(tmp_path), new_key(tmp_path, "other.pem")
    sign(NAME, store, key)
    layer = signature_manifest(store).layers[0]
    signature = base64.b64decode(layer.annotations["dev.cosignproject.cosign/signature"])
    payload = store.signatures.read_blob(layer.digest)
    assert openssl_verifies(key.public.pem, payload, signature, tmp_path)
    assert not openssl_verifies(other.public.pem, payload, signature, tmp_path)
    assert not openssl_verifies(key.public.pem, payload + b" ", signature, tmp_path)


def test_the_bundle_is_an_artifact_that_refers_to_the_model(store: Store, tmp_path: Path) -> None:
    model = add_model(store)
    key = new_key(tmp_path)
    sign(NAME, store, key)
    (manifest,) = bundle_manifests(store)
    assert manifest.artifact_type == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert manifest.subject == Descriptor(model.media_type, model.digest, len(model.raw))
    assert manifest.config is not None
    assert manifest.config.media_type == MediaType.OCI_EMPTY
    assert manifest.annotations == {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1",
    }
    content = json.loads(store.signatures.read_blob(manifest.layers[0].digest))
    hint = base64.b64encode(hashlib.sha256(key.public.der).digest()).decode()
    assert content["verificationMaterial"] == {"publicKey": {"hint": hint}}
    statement = json.loads(base64.b64decode(content["dsseEnvelope"]["payload"]))
    assert statement == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": NAME.full, "digest": {"sha256": model.digest.hex}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    }


def test_openssl_verifies_the_envelope(store: Store, tmp_path: Path) -> None:
    add_model(store)
    key = new_key(tmp_path)
    sign(NAME, store, key)
    (manifest,) = bundle_manifests(store)
    envelope = json.loads(store.signatures.read_blob(manifest.layers[0].digest))["dsseEnvelope"]
    statement = base64.b64decode(envelope["payload"])
    message = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(statement), statement)
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    assert openssl_verifies(key.public.pem, message, signature, tmp_path)
    assert not openssl_verifies(key.public.pem, statement, signature, tmp_path)


def test_the_index_lists_the_bundle_for_clients_without_referrers_api(
    store: Store, tmp_path: Path
) -> None:
    digest = add_model(store).digest
    sign(NAME, store, new_key(tmp_path))
    index = json.loads(StoreSignatures(store, NAME).manifest(digest.filename) or b"")
    (manifest,) = bundle_manifests(store)
    assert index == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": MediaType.OCI_MANIFEST,
                "digest": str(manifest.digest),
                "size": len(manifest.raw),
                "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                "annotations": dict(manifest.annotations),
            }
        ],
    }


def test_signing_again_with_the_same_key_changes_nothing(store: Store, tmp_path: Path) -> None:
    add_model(store)
    key = new_key(tmp_path)
    sign(NAME, store, key)
    before = {path: path.read_bytes() for path in tree(store.signatures.root)}
    sign(NAME, store, key)
    assert {path: path.read_bytes() for path in tree(store.signatures.root)} == before


def tree(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_signers_add_up(store: Store, tmp_path: Path) -> None:
    manifest = add_model(store)
    keys = [new_key(tmp_path, f"{number}.pem") for number in range(3)]
    for key in keys:
        sign(NAME, store, key)
    source = StoreSignatures(store, NAME)
    for key in keys:
        found = verify(NAME, manifest.raw, source, [key.public])
        assert [item.key for item in found.signatures] == [key.public] * 2
        assert {failure.reason for failure in found.failures} == {Reason.WRONG_KEY}
    assert len(signature_manifest(store).layers) == 3
    config = signature_manifest(store).config
    assert config is not None
    assert len(json.loads(store.signatures.read_blob(config.digest))["rootfs"]["diff_ids"]) == 3


def test_signers_at_the_same_time_do_not_overwrite_each_other(store: Store, tmp_path: Path) -> None:
    manifest = add_model(store)
    keys = [new_key(tmp_path, f"{number}.pem") for number in range(6)]
    threads = [threading.Thread(target=sign, args=(NAME, store, key)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    found = verify(NAME, manifest.raw, StoreSignatures(store, NAME), [key.public for key in keys])
    assert len(found.signatures) == 12


def test_what_other_tools_wrote_is_kept(store: Store, tmp_path: Path) -> None:
    """cosign's layers carry keys and annotations that modelkit does not know."""
    digest = add_model(store).digest
    source = StoreSignatures(store, NAME)
    foreign = {
        "mediaType": simplesigning.PAYLOAD_TYPE,
        "digest": str(store.signatures.add_bytes(b"{}")),
        "size": 2,
        "urls": ["https://example.com/"],
        "annotations": {"dev.cosignproject.cosign/signature": "AAAA", "dev.sigstore/x": "y"},
    }
    simplesigning.attach([foreign], digest, source)
    sign(NAME, store, new_key(tmp_path))
    layers = json.loads(signature_manifest(store).raw)["layers"]
    assert layers[0] == foreign
    assert len(layers) == 2


def test_two_tags_of_one_manifest_are_both_signed(store: Store, tmp_path: Path) -> None:
    manifest = add_model(store)
    store.copy(NAME, NAME.with_tag("v2"))
    key = new_key(tmp_path)
    sign(NAME, store, key)
    sign(NAME.with_tag("v2"), store, key)
    found = verify(NAME, manifest.raw, StoreSignatures(store, NAME), [key.public])
    references = {item.reference for item in found.signatures}
    assert references == {NAME.full, NAME.with_tag("v2").full}


def test_signatures_are_no_models(store: Store, tmp_path: Path) -> None:
    add_model(store)
    sign(NAME, store, new_key(tmp_path))
    assert store.names() == [NAME]


def test_signatures_survive_garbage_collection(store: Store, tmp_path: Path) -> None:
    manifest = add_model(store)
    key = new_key(tmp_path)
    sign(NAME, store, key)
    assert store.prune(min_age=-10) == []
    found = verify(NAME, manifest.raw, StoreSignatures(store, NAME), [key.public])
    assert len(found.signatures) == 2


def test_an_unknown_model_cannot_be_signed(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        sign(NAME, store, new_key(tmp_path))
    assert not store.signatures.manifests.exists()


def test_the_stored_spelling_is_signed(store: Store, tmp_path: Path) -> None:
    add_model(store)
    made = sign(ModelName.parse("registry.example.com/LAB/Model:V1"), store, new_key(tmp_path))
    assert {item.reference for item in made.signatures} == {NAME.full}


def test_cosigns_ecdsa_signatures_count(store: Store) -> None:
    """cosign's own keys are ECDSA P-256, its payload says `null` where nothing is optional."""
    manifest = add_model(store)
    key = ec.generate_private_key(ec.SECP256R1())
    payload = (
        b'{"critical":{"identity":{"docker-reference":"registry.example.com/lab/model"},'
        b'"image":{"docker-manifest-digest":"' + str(manifest.digest).encode() + b'"},'
        b'"type":"cosign container image signature"},"optional":null}'
    )
    source = StoreSignatures(store, NAME)
    source.put_blob(payload)
    layer = simplesigning.new_layer(payload, key.sign(payload, ec.ECDSA(hashes.SHA256())))
    simplesigning.attach([layer], manifest.digest, source)
    public = PublicKey.parse(
        key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    )
    found = verify(NAME, manifest.raw, source, [public])
    assert [item.reference for item in found.signatures] == ["registry.example.com/lab/model"]


def test_signatures_follow_their_model_into_another_store(store: Store, tmp_path: Path) -> None:
    manifest = add_model(store)
    key = new_key(tmp_path)
    sign(NAME, store, key)
    other = Store(tmp_path / "other")
    source = StoreSignatures(store, NAME)
    assert keep_signatures(NAME, manifest.digest, source, other) == 2
    assert keep_signatures(NAME, manifest.digest, source, other) == 0
    found = verify(NAME, manifest.raw, StoreSignatures(other, NAME), [key.public])
    assert len(found.signatures) == 2
    assert tree_bytes(other.signatures) == tree_bytes(store.signatures)


def tree_bytes(store: Store) -> set[bytes]:
    return {path.read_bytes() for path in tree(store.root)}


def test_copied_signatures_join_those_that_are_there(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    manifest = add_model(store)
    add_model(other)
    ours, theirs = new_key(tmp_path, "ours.pem"), new_key(tmp_path, "theirs.pem")
    sign(NAME, store, ours)
    sign(NAME, other, theirs)
    target = StoreSignatures(other, NAME)
    assert publish_signatures(NAME, manifest.digest, store, target) == 2
    found = verify(NAME, manifest.raw, target, [ours.public, theirs.public])
    assert len(found.signatures) == 4


def test_other_artifacts_and_damaged_signatures_are_not_copied(
    store: Store, tmp_path: Path
) -> None:
    model = add_model(store)
    sign(NAME, store, new_key(tmp_path))
    source = StoreSignatures(store, NAME)
    sbom = b'{"spdx": true}'
    source.put_blob(sbom)
    attach_artifact(source, model, sbom, "application/spdx+json")
    payload = signature_manifest(store).layers[0].digest
    store.signatures.blob_path(payload).write_bytes(b"damaged")
    other = Store(tmp_path / "other")
    assert keep_signatures(NAME, model.digest, source, other) == 1
    assert len(bundle_manifests_of(other, model.digest)) == 1


def attach_artifact(source: StoreSignatures, model: Manifest, data: bytes, kind: str) -> None:
    value = json.loads(bundle.referrer(data, model))
    value["artifactType"] = value["layers"][0]["mediaType"] = kind
    del value["annotations"]
    raw = json.dumps(value).encode()
    source.put_manifest(str(Digest.of(raw)), raw, MediaType.OCI_MANIFEST)


def bundle_manifests_of(store: Store, digest: Digest) -> list[Digest]:
    raw = StoreSignatures(store, NAME).manifest(digest.filename)
    return [] if raw is None else [entry.digest for entry in Manifest.parse(raw).manifests]


def test_an_unsigned_model_has_nothing_to_copy(store: Store, tmp_path: Path) -> None:
    manifest = add_model(store)
    other = Store(tmp_path / "other")
    assert keep_signatures(NAME, manifest.digest, StoreSignatures(store, NAME), other) == 0
    assert not other.signatures.manifests.exists()


@given(
    st.from_regex(r"[a-z0-9.:/_-]{1,60}", fullmatch=True),
    st.binary(min_size=32, max_size=32),
    st.text(max_size=20),
)
def test_a_payload_reads_back_what_was_written(reference: str, digest: bytes, creator: str) -> None:
    raw = simplesigning.encode_payload(reference, Digest(digest.hex()), creator)
    claim = simplesigning.parse_payload(raw)
    assert (claim.subjects[0].reference, claim.creator) == (reference, creator)
    assert claim.subjects[0].digest == Digest(digest.hex())


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_but_a_payload_parse(data: bytes) -> None:
    for parse in (simplesigning.parse_payload, bundle.parse_statement):
        with pytest.raises(SignatureError):
            parse(data)


KEYS = [
    *("critical", "identity", "image", "type", "optional", "docker-reference"),
    *("docker-manifest-digest", "_type", "subject", "digest", "predicateType"),
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_json_of_another_shape_is_a_signature_error(value: object) -> None:
    data = json.dumps(value).encode()
    for parse in (simplesigning.parse_payload, bundle.parse_statement):
        with pytest.raises(SignatureError):
            parse(data)
