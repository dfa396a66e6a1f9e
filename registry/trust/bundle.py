"""Sigstore bundles v0.3: a signed in-toto statement in an OCI artifact that refers to the model.

Newer cosign reads these: through the referrers API, or the index tagged `sha256-<hex>`.
"""

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from modelkit.digest import Digest
from modelkit.errors import InvalidDigest, SignatureError
from modelkit.manifest import Descriptor, Manifest, MediaType
from modelkit.registry.trust.claims import (
    MAX_SIGNATURES,
    Candidate,
    Claim,
    SignatureSource,
    Subject,
    child,
    compact,
    damaged,
    decode_base64,
    load_object,
    read_blob,
    read_manifest,
)
from modelkit.registry.trust.keys import PrivateKey

FORMAT = "bundle"
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://sigstore.dev/cosign/sign/v1"
EMPTY = b"{}"
"""The config blob of an artifact that has none."""
_PREDICATE_ANNOTATION = "dev.sigstore.bundle.predicateType"
_MAX_KEYS = 16


def tag(signed: Digest) -> str:
    """The fallback tag: the index of what refers to the manifest `signed`."""
    return signed.filename


def encode_statement(reference: str, signed: Digest) -> bytes:
    """The in-toto statement that says: this is the manifest of that reference."""
    return compact(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": reference, "digest": {"sha256": signed.hex}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {},
        }
    )


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """DSSE's PAE: the exact bytes that an envelope's signature covers."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def encode(statement: bytes, key: PrivateKey) -> bytes:
    """Sign a statement and wrap it as a bundle."""
    signature = key.sign(pre_authentication(PAYLOAD_TYPE, statement))
    return compact(
        {
            "mediaType": BUNDLE_TYPE,
            "verificationMaterial": {"publicKey": {"hint": key.public.hint}},
            "dsseEnvelope": {
                "payload": base64.b64encode(statement).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": base64.b64encode(signature).decode()}],
            },
        }
    )


def referrer(bundle: bytes, signed: Manifest) -> bytes:
    """The artifact manifest that attaches a bundle to the manifest `signed`."""
    digest = signed.digest
    return compact(
        {
            "schemaVersion": 2,
            "mediaType": MediaType.OCI_MANIFEST,
            "artifactType": BUNDLE_TYPE,
            "config": Descriptor(MediaType.OCI_EMPTY, Digest.of(EMPTY), len(EMPTY)).to_json(),
            "layers": [Descriptor(BUNDLE_TYPE, Digest.of(bundle), len(bundle)).to_json()],
            "subject": Descriptor(signed.media_type, digest, len(signed.raw)).to_json(),
            "annotations": {
                "dev.sigstore.bundle.content": "dsse-envelope",
                _PREDICATE_ANNOTATION: PREDICATE_TYPE,
            },
        }
    )


def merge_index(existing: bytes | None, raw: bytes) -> bytes | None:
    """Add a referrer manifest to an index; None when it is listed already."""
    manifest = Manifest.parse(raw)
    entries: list[dict[str, Any]] = []
    if existing is not None:
        listed = Manifest.parse(existing).manifests
        if manifest.digest in {entry.digest for entry in listed}:
            return None
        entries = list(json.loads(existing).get("manifests") or [])
    config_type = manifest.config.media_type if manifest.config else None
    entry = Descriptor(
        manifest.media_type,
        manifest.digest,
        len(raw),
        artifact_type=manifest.artifact_type or config_type,
        annotations=manifest.annotations,
    )
    entries.append(entry.to_json())
    return compact({"schemaVersion": 2, "mediaType": MediaType.OCI_INDEX, "manifests": entries})


def filter_index(raw: bytes, keep: Callable[[Descriptor], bool]) -> bytes:
    """The index with only the entries that `keep` picks."""
    value = json.loads(raw)
    listed = zip(Manifest.parse(raw).manifests, value.get("manifests") or [], strict=True)
    value["manifests"] = [entry for descriptor, entry in listed if keep(descriptor)]
    return compact(value)


def candidates(
    signed: Digest, source: SignatureSource, problems: list[SignatureError]
) -> list[Candidate]:
    """The bundles that `source` keeps for the manifest `signed`; damaged ones go to problems.

    The artifact manifests are opened rather than believed from their line in the index, where
    registries disagree about the artifact type.
    """
    found: list[Candidate] = []
    index = None
    with damaged(problems):
        index = read_manifest(source, tag(signed))
    for entry in index.manifests[:MAX_SIGNATURES] if index else ():
        with damaged(problems):
            found += _candidates_of(entry.digest, signed, source)
    return found


def _candidates_of(digest: Digest, signed: Digest, source: SignatureSource) -> list[Candidate]:
    manifest = read_manifest(source, str(digest))
    if manifest is None:
        raise SignatureError(f"the bundle's manifest {digest} is missing")
    if not is_signature(manifest, signed):
        return []
    return [
        _candidate(read_blob(source, layer.digest))
        for layer in manifest.layers[:_MAX_KEYS]
        if layer.media_type == BUNDLE_TYPE
    ]


def is_signature(manifest: Manifest, signed: Digest) -> bool:
    """Whether a referrer is a signature's bundle, not an SBOM or some other attestation.

    Raises SignatureError when it refers to another manifest than `signed`.
    """
    predicate = manifest.annotations.get(_PREDICATE_ANNOTATION, PREDICATE_TYPE)
    if predicate != PREDICATE_TYPE or BUNDLE_TYPE not in {
        layer.media_type for layer in manifest.layers
    }:
        return False
    if manifest.subject is None or manifest.subject.digest != signed:
        raise SignatureError(f"the artifact {manifest.digest} refers to another manifest")
    return True


def _candidate(data: bytes) -> Candidate:
    bundle = load_object(data, "the bundle")
    if bundle.get("mediaType") != BUNDLE_TYPE:
        raise SignatureError("the bundle is of another version")
    envelope = child(bundle, "dsseEnvelope", "the bundle")
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise SignatureError("the bundle's payload is of another type")
    statement = decode_base64(envelope.get("payload"), "the bundle's payload")
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or not 0 < len(signatures) <= _MAX_KEYS:
        raise SignatureError("the bundle carries no signature, or too many")
    return Candidate(
        FORMAT,
        pre_authentication(PAYLOAD_TYPE, statement),
        tuple(_signature(item) for item in signatures),
        partial(parse_statement, statement),
    )


def _signature(item: object) -> bytes:
    text = item.get("sig") if isinstance(item, dict) else None
    return decode_base64(text, "the signature")


def parse_statement(raw: bytes) -> Claim:
    """What an in-toto statement claims; raises SignatureError unless it is a signature's."""
    value = load_object(raw, "the statement")
    if value.get("_type") != STATEMENT_TYPE or value.get("predicateType") != PREDICATE_TYPE:
        raise SignatureError("the statement is not a signature's")
    subjects = value.get("subject")
    if not isinstance(subjects, list) or not 0 < len(subjects) <= MAX_SIGNATURES:
        raise SignatureError("the statement names no subject, or too many")
    return Claim(tuple(_subject(item) for item in subjects))


def _subject(item: object) -> Subject:
    if not isinstance(item, dict):
        raise SignatureError("a subject of the statement is not an object")
    name = item.get("name", "")
    value = child(item, "digest", "a subject of the statement").get("sha256")
    if not isinstance(name, str) or not isinstance(value, str):
        raise SignatureError("a subject of the statement has no sha256 digest")
    try:
        return Subject(Digest(value), name)
    except InvalidDigest:
        raise SignatureError("a subject of the statement has no sha256 digest") from None
