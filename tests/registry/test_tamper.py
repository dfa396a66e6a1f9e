"""Tampering: whatever is changed, nothing verifies, and the reason is named."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from modelkit.digest import Digest
from modelkit.errors import BlobNotFound, SignatureError, Unreachable
from modelkit.manifest import Manifest, MediaType
from modelkit.registry.trust import bundle, simplesigning
from modelkit.registry.trust.claims import MAX_MANIFEST_SIZE, MAX_PAYLOAD_SIZE, MAX_SIGNATURES
from modelkit.registry.trust.identity import MatchExact, MatchRepository
from modelkit.registry.trust.keys import PrivateKey
from modelkit.registry.trust.signing import (
    Reason,
    StoreSignatures,
    Verification,
    sign,
    verify,
)
from modelkit.store import Store
from tests.registry.embedded import NAME, add_model, new_key

ANNOTATION = "dev.cosignproject.cosign/signature"


@dataclass
class Remote:
    """A repository under an attacker's control: any bytes under any name."""

    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[Digest, bytes] = field(default_factory=dict)

    def manifest(self, reference: str) -> bytes | None:
        return self.manifests.get(reference)

    def blob(self, digest: Digest, limit: int) -> bytes:
        if digest not in self.blobs:
            raise BlobNotFound(digest)
        return self.blobs[digest]

    def put_blob(self, data: bytes) -> None:
        self.blobs[Digest.of(data)] = data

    def put_manifest(self, reference: str, raw: bytes, media_type: str) -> None:
        self.manifests[reference] = raw


@dataclass
class Case:
    """A signed model and the signatures as an attacker could change them."""

    manifest: Manifest
    key: PrivateKey
    remote: Remote

    def verify(self, raw: bytes | None = None, rule: Any = None) -> Verification:
        return verify(NAME, raw or self.manifest.raw, self.remote, [self.key.public], rule)

    @property
    def tag(self) -> str:
        return simplesigning.tag(self.manifest.digest)

    def edit_layers(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change each layer of the cosign manifest."""
        value = json.loads(self.remote.manifests[self.tag])
        for layer in value["layers"]:
            change(layer)
        self.remote.manifests[self.tag] = json.dumps(value).encode()

    def replace_payload(self, payload: bytes, signature: bytes) -> None:
        """Another payload and signature in the place of the cosign one."""
        self.remote.put_blob(payload)
        layer = simplesigning.new_layer(payload, signature)
        self.edit_layers(lambda old: old.update(layer))

    def replace_bundle(self, data: bytes, subject: Manifest | None = None) -> None:
        """Another bundle in the place of the signed one."""
        self.remote.put_blob(data)
        raw = bundle.referrer(data, subject or self.manifest)
        self.remote.manifests[str(Digest.of(raw))] = raw
        index = bundle.merge_index(None, raw)
        assert index is not None
        self.remote.manifests[bundle.tag(self.manifest.digest)] = index

    def drop(self, *kinds: str) -> None:
        """Remove all signatures of a format."""
        for kind in kinds:
            module = {"cosign": simplesigning, "bundle": bundle}[kind]
            self.remote.manifests.pop(module.tag(self.manifest.digest))


@pytest.fixture
def case(store: Store, tmp_path: Path) -> Case:
    manifest = add_model(store)
    key = new_key(tmp_path)
    sign(NAME, store, key)
    source = StoreSignatures(store, NAME)
    remote = Remote()
    for tag in (simplesigning.tag(manifest.digest), bundle.tag(manifest.digest)):
        raw = source.manifest(tag)
        assert raw is not None
        remote.manifests[tag] = raw
        for child in Manifest.parse(raw).manifests:
            remote.manifests[str(child.digest)] = source.manifest(str(child.digest)) or b""
    for path in store.signatures.blobs.iterdir():
        remote.put_blob(path.read_bytes())
    return Case(manifest, key, remote)


def test_the_untouched_case_verifies_in_both_formats(case: Case) -> None:
    assert [found.format for found in case.verify().signatures] == ["cosign", "bundle"]


def reasons(found: Verification) -> set[Reason]:
    assert not found.verified
    with pytest.raises(SignatureError, match=str(NAME)):
        found.require()
    return {failure.reason for failure in found.failures}


def flip(data: bytes, position: int = -1) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("position", [0, 10, -3])
def test_a_flipped_bit_in_the_manifest_leaves_it_unsigned(case: Case, position: int) -> None:
    found = case.verify(flip(case.manifest.raw, position))
    assert reasons(found) == set()
    assert found.failure.reason is Reason.NO_SIGNATURE
    assert str(found.digest) in found.failure.detail


def test_no_signature_at_all_is_said_so(case: Case) -> None:
    case.drop("cosign", "bundle")
    assert case.verify().failure.reason is Reason.NO_SIGNATURE


def test_signatures_moved_to_another_manifest_do_not_count(case: Case) -> None:
    """The attacker renames the tags so that they are found for a manifest of his own."""
    evil = flip(case.manifest.raw)
    digest = Digest.of(evil)
    remote = case.remote
    remote.manifests[simplesigning.tag(digest)] = remote.manifests[case.tag]
    remote.manifests[bundle.tag(digest)] = remote.manifests[bundle.tag(case.manifest.digest)]
    found = case.verify(evil)
    assert reasons(found) == {Reason.WRONG_DIGEST, Reason.MALFORMED}
    assert found.failure.reason is Reason.WRONG_DIGEST
    assert str(case.manifest.digest) in found.failure.detail


def test_a_bundle_whose_artifact_was_rewritten_for_another_manifest(case: Case) -> None:
    evil = Manifest.parse(case.manifest.raw + b" ")
    (entry,) = Manifest.parse(case.remote.manifests[bundle.tag(case.manifest.digest)]).manifests
    artifact = Manifest.parse(case.remote.manifests[str(entry.digest)])
    data = case.remote.blobs[artifact.layers[0].digest]
    raw = bundle.referrer(data, evil)
    case.remote.manifests[str(Digest.of(raw))] = raw
    case.remote.manifests[bundle.tag(evil.digest)] = bundle.merge_index(None, raw) or b""
    assert reasons(case.verify(evil.raw)) == {Reason.WRONG_DIGEST}


def test_another_key_is_named(case: Case, tmp_path: Path) -> None:
    other = new_key(tmp_path, "other.pem").public
    found = verify(NAME, case.manifest.raw, case.remote, [other])
    assert reasons(found) == {Reason.WRONG_KEY}
    assert other.fingerprint in found.failure.detail
    assert reasons(verify(NAME, case.manifest.raw, case.remote, [])) == {Reason.WRONG_KEY}


def test_a_flipped_bit_in_the_payload_blob(case: Case) -> None:
    case.drop("bundle")
    for digest, data in case.remote.blobs.items():
        case.remote.blobs[digest] = flip(data)
    found = case.verify()
    assert reasons(found) == {Reason.MALFORMED}
    assert "other bytes than its digest" in found.failure.detail


def test_a_changed_payload_under_its_own_digest(case: Case) -> None:
    case.drop("bundle")
    payload = simplesigning.encode_payload(NAME.full, case.manifest.digest, "modelkit")
    case.replace_payload(flip(payload), case.key.sign(payload))
    assert reasons(case.verify()) == {Reason.WRONG_KEY}


@pytest.mark.parametrize("position", [0, 31, 32, 63])
def test_a_flipped_bit_in_the_signature(case: Case, position: int) -> None:
    case.drop("bundle")
    payload = simplesigning.encode_payload(NAME.full, case.manifest.digest, "modelkit")
    case.replace_payload(payload, flip(case.key.sign(payload), position))
    assert reasons(case.verify()) == {Reason.WRONG_KEY}


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_a_signature_of_another_length(case: Case, length: int) -> None:
    case.drop("bundle")
    payload = simplesigning.encode_payload(NAME.full, case.manifest.digest, "modelkit")
    signature = (case.key.sign(payload) * 2)[:length]
    case.replace_payload(payload, signature)
    assert reasons(case.verify()) <= {Reason.WRONG_KEY, Reason.MALFORMED}


def test_a_signature_over_the_hash_of_the_payload_is_not_pure_ed25519(case: Case) -> None:
    case.drop("bundle")
    payload = simplesigning.encode_payload(NAME.full, case.manifest.digest, "modelkit")
    prehashed = case.key.sign(bytes.fromhex(Digest.of(payload).hex))
    case.replace_payload(payload, prehashed)
    assert reasons(case.verify()) == {Reason.WRONG_KEY}


def test_a_payload_that_names_another_digest(case: Case) -> None:
    case.drop("bundle")
    other = Digest.of(b"other")
    payload = simplesigning.encode_payload(NAME.full, other, "modelkit")
    case.replace_payload(payload, case.key.sign(payload))
    found = case.verify()
    assert reasons(found) == {Reason.WRONG_DIGEST}
    assert str(other) in found.failure.detail


def test_a_statement_that_names_another_digest(case: Case) -> None:
    case.drop("cosign")
    statement = bundle.encode_statement(NAME.full, Digest.of(b"other"))
    case.replace_bundle(bundle.encode(statement, case.key))
    assert reasons(case.verify()) == {Reason.WRONG_DIGEST}


@pytest.mark.parametrize("kind", ["cosign", "bundle"])
def test_a_signature_for_another_model_of_the_same_bytes(case: Case, kind: str) -> None:
    """Swapped between models: the same manifest under a name its signer never gave it."""
    case.drop("bundle" if kind == "cosign" else "cosign")
    other = "registry.example.com/lab/other:v1"
    payload = simplesigning.encode_payload(other, case.manifest.digest, "modelkit")
    if kind == "cosign":
        case.replace_payload(payload, case.key.sign(payload))
    else:
        statement = bundle.encode_statement(other, case.manifest.digest)
        case.replace_bundle(bundle.encode(statement, case.key))
    for rule in (MatchExact(), MatchRepository()):
        found = case.verify(rule=rule)
        assert reasons(found) == {Reason.WRONG_IDENTITY}
        assert other in found.failure.detail
    assert case.verify().verified


def test_a_bundle_without_a_name_has_no_identity(case: Case) -> None:
    """cosign's own bundles name no reference: good for a digest, for no identity rule."""
    case.drop("cosign")
    statement = json.loads(bundle.encode_statement("", case.manifest.digest))
    del statement["subject"][0]["name"]
    case.replace_bundle(bundle.encode(json.dumps(statement).encode(), case.key))
    assert case.verify().verified
    assert reasons(case.verify(rule=MatchRepository())) == {Reason.WRONG_IDENTITY}


def test_a_retagged_model_is_another_identity(case: Case) -> None:
    found = verify(
        NAME.with_tag("stable"), case.manifest.raw, case.remote, [case.key.public], MatchExact()
    )
    assert {failure.reason for failure in found.failures} == {Reason.WRONG_IDENTITY}


def test_an_attestation_by_the_same_key_is_no_signature(case: Case) -> None:
    case.drop("cosign")
    statement = json.loads(bundle.encode_statement(NAME.full, case.manifest.digest))
    statement["predicateType"] = "https://slsa.dev/provenance/v1"
    case.replace_bundle(bundle.encode(json.dumps(statement).encode(), case.key))
    assert reasons(case.verify()) == {Reason.MALFORMED}


def test_an_artifact_of_another_predicate_is_passed_over(case: Case) -> None:
    case.drop("cosign")
    tag = bundle.tag(case.manifest.digest)
    (entry,) = Manifest.parse(case.remote.manifests[tag]).manifests
    value = json.loads(case.remote.manifests[str(entry.digest)])
    value["annotations"]["dev.sigstore.bundle.predicateType"] = "https://spdx.dev/Document"
    raw = json.dumps(value).encode()
    case.remote.manifests[str(Digest.of(raw))] = raw
    case.remote.manifests[tag] = bundle.merge_index(None, raw) or b""
    assert case.verify().failure.reason is Reason.NO_SIGNATURE


def edited_bundle(case: Case, **changes: object) -> bytes:
    """The good bundle with fields of its own or of its envelope replaced."""
    statement = bundle.encode_statement(NAME.full, case.manifest.digest)
    content = json.loads(bundle.encode(statement, case.key))
    for key, value in changes.items():
        place = content if key in content else content["dsseEnvelope"]
        place[key] = value
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"mediaType": "application/vnd.dev.sigstore.bundle.v9+json"},
        {"dsseEnvelope": None},
        {"payloadType": "text/plain"},
        {"payload": "?"},
        {"payload": 7},
        {"signatures": []},
        {"signatures": None},
        {"signatures": ["AAAA"]},
        {"signatures": [{"sig": "!"}]},
        {"signatures": [{"sig": "AAAA"}] * 17},
    ],
    ids=str,
)
def test_a_malformed_bundle(case: Case, changes: dict[str, object]) -> None:
    case.drop("cosign")
    case.replace_bundle(edited_bundle(case, **changes))
    assert reasons(case.verify()) <= {Reason.MALFORMED, Reason.WRONG_KEY}


def test_the_signature_covers_the_payload_type(case: Case, tmp_path: Path) -> None:
    """The bare statement, signed without DSSE's encoding, is not accepted."""
    case.drop("cosign")
    statement = bundle.encode_statement(NAME.full, case.manifest.digest)
    bare = base64.b64encode(case.key.sign(statement)).decode()
    case.replace_bundle(edited_bundle(case, signatures=[{"sig": bare}]))
    assert reasons(case.verify()) == {Reason.WRONG_KEY}


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        '{"critical":{},"optional":{}}',
        '{"critical":{"type":"x","type":"y"},"optional":null}',
        "[" * 100_000,
    ],
    ids=["empty", "list", "hollow", "repeated key", "deep"],
)
def test_a_payload_signed_by_the_key_that_is_none(case: Case, text: str) -> None:
    case.drop("bundle")
    case.replace_payload(text.encode(), case.key.sign(text.encode()))
    assert reasons(case.verify()) == {Reason.MALFORMED}


def payload_with(case: Case, **changes: object) -> bytes:
    value = json.loads(simplesigning.encode_payload(NAME.full, case.manifest.digest, "m"))
    value["critical"].update(changes)
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "atomic container signature"},
        {"image": {}},
        {"image": {"docker-manifest-digest": "sha512:00"}},
        {"image": {"docker-manifest-digest": 7}},
        {"identity": {}},
        {"identity": "x"},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_signed_payload_of_another_form(case: Case, changes: dict[str, object]) -> None:
    case.drop("bundle")
    payload = payload_with(case, **changes)
    case.replace_payload(payload, case.key.sign(payload))
    assert reasons(case.verify()) == {Reason.MALFORMED}


@pytest.mark.parametrize("annotations", [{}, {ANNOTATION: ""}, {ANNOTATION: "no base64!"}, None])
def test_a_layer_without_a_usable_signature(case: Case, annotations: dict[str, str] | None) -> None:
    case.drop("bundle")
    case.edit_layers(lambda layer: layer.update(annotations=annotations))
    assert reasons(case.verify()) == {Reason.MALFORMED}


def test_a_truncated_payload(case: Case) -> None:
    case.drop("bundle")
    for digest, data in case.remote.blobs.items():
        case.remote.blobs[digest] = data[:-1]
    assert reasons(case.verify()) == {Reason.MALFORMED}


@pytest.mark.parametrize("kind", ["cosign", "bundle"])
def test_truncated_manifests(case: Case, kind: str) -> None:
    case.drop("bundle" if kind == "cosign" else "cosign")
    for reference, raw in case.remote.manifests.items():
        case.remote.manifests[reference] = raw[: len(raw) // 2]
    assert reasons(case.verify()) == {Reason.MALFORMED}


def test_a_missing_payload_and_a_missing_artifact(case: Case) -> None:
    case.remote.blobs.clear()
    for reference in [key for key in case.remote.manifests if key.startswith("sha256:")]:
        del case.remote.manifests[reference]
    found = case.verify()
    assert reasons(found) == {Reason.MALFORMED}
    assert len(found.failures) == 2


def test_an_artifact_with_other_bytes_than_its_digest(case: Case) -> None:
    case.drop("cosign")
    for reference in [key for key in case.remote.manifests if key.startswith("sha256:")]:
        case.remote.manifests[reference] += b" "
    found = case.verify()
    assert reasons(found) == {Reason.MALFORMED}
    assert "other bytes than its digest" in found.failure.detail


def test_an_oversized_manifest_payload_and_index(case: Case) -> None:
    payload = b'{"pad":"' + b"x" * MAX_PAYLOAD_SIZE + b'"}'
    case.replace_payload(payload, case.key.sign(payload))
    tag = bundle.tag(case.manifest.digest)
    case.remote.manifests[tag] += b" " * MAX_MANIFEST_SIZE
    found = case.verify()
    assert reasons(found) == {Reason.MALFORMED}
    assert all("more than" in failure.detail for failure in found.failures)
    case.remote.manifests[case.tag] += b" " * MAX_MANIFEST_SIZE
    assert reasons(case.verify()) == {Reason.MALFORMED}


def test_the_number_of_signatures_looked_at_is_bounded(case: Case) -> None:
    value = json.loads(case.remote.manifests[case.tag])
    value["layers"] *= MAX_SIGNATURES * 10
    case.remote.manifests[case.tag] = json.dumps(value).encode()
    found = [item for item in case.verify().signatures if item.format == "cosign"]
    assert len(found) == MAX_SIGNATURES


def test_a_damaged_signature_beside_a_good_one_does_no_harm(case: Case) -> None:
    value = json.loads(case.remote.manifests[case.tag])
    bad = {**value["layers"][0], "annotations": {ANNOTATION: "AAAA"}}
    value["layers"] = [bad, *value["layers"]]
    case.remote.manifests[case.tag] = json.dumps(value).encode()
    found = case.verify()
    assert [item.format for item in found.signatures] == ["cosign", "bundle"]
    assert [failure.reason for failure in found.failures] == [Reason.WRONG_KEY]


def test_layers_of_other_types_are_passed_over(case: Case) -> None:
    case.drop("bundle")
    case.edit_layers(lambda layer: layer.update(mediaType=MediaType.LICENSE))
    assert case.verify().failure.reason is Reason.NO_SIGNATURE


def test_a_registry_that_is_away_is_not_taken_for_unsigned(case: Case) -> None:
    class Away(Remote):
        def blob(self, digest: Digest, limit: int) -> bytes:
            raise Unreachable("no answer")

    away = Away(case.remote.manifests)
    with pytest.raises(Unreachable):
        verify(NAME, case.manifest.raw, away, [case.key.public])
