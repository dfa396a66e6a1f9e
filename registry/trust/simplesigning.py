"""cosign's simple signing: payloads as layers of the manifest tagged `sha256-<hex>.sig`.

cosign, skopeo and podman read it (cosign's SIGNATURE_SPEC, containers/image sigstore payload).
"""

import base64
import json
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
    SignatureTarget,
    Subject,
    child,
    compact,
    damaged,
    decode_base64,
    load_object,
    read_blob,
    read_manifest,
)

FORMAT = "cosign"
PAYLOAD_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature"
_KIND = "cosign container image signature"


def tag(signed: Digest) -> str:
    """The tag of the manifest that holds the signatures of the manifest `signed`."""
    return f"{signed.filename}.sig"


def encode_payload(reference: str, signed: Digest, creator: str) -> bytes:
    """The exact bytes to sign; `reference` is host/repository:tag."""
    critical = {
        "identity": {"docker-reference": reference},
        "image": {"docker-manifest-digest": str(signed)},
        "type": _KIND,
    }
    return compact({"critical": critical, "optional": {"creator": creator}})


def parse_payload(raw: bytes) -> Claim:
    """What a payload claims; raises SignatureError unless it is exactly of this form."""
    value = load_object(raw, "the payload")
    critical = child(value, "critical", "the payload")
    identity = child(critical, "identity", "the payload")
    image = child(critical, "image", "the payload")
    if set(value) - {"critical", "optional"} or set(critical) - {"identity", "image", "type"}:
        raise SignatureError("the payload has fields that are not understood")
    if critical.get("type") != _KIND:
        raise SignatureError("the payload is of another type")
    digest, reference = image.get("docker-manifest-digest"), identity.get("docker-reference")
    if not isinstance(digest, str) or not isinstance(reference, str):
        raise SignatureError("the payload names no digest or no reference")
    optional = value.get("optional")
    creator = optional.get("creator") if isinstance(optional, dict) else None
    try:
        subject = Subject(Digest.parse(digest), reference)
    except InvalidDigest:
        raise SignatureError("the payload names no sha256 digest") from None
    return Claim((subject,), creator if isinstance(creator, str) else "")


def candidates(
    signed: Digest, source: SignatureSource, problems: list[SignatureError]
) -> list[Candidate]:
    """The signatures that `source` keeps for the manifest `signed`; damaged ones go to problems."""
    found: list[Candidate] = []
    manifest = None
    with damaged(problems):
        manifest = read_manifest(source, tag(signed))
    for layer in manifest.layers[:MAX_SIGNATURES] if manifest else ():
        if layer.media_type == PAYLOAD_TYPE:
            with damaged(problems):
                found.append(_candidate(layer, source))
    return found


def _candidate(layer: Descriptor, source: SignatureSource) -> Candidate:
    text = layer.annotations.get(SIGNATURE_ANNOTATION)
    if not text:
        raise SignatureError(f"payload {layer.digest} carries no signature")
    signature = decode_base64(text, "the signature")
    payload = read_blob(source, layer.digest)
    return Candidate(FORMAT, payload, (signature,), partial(parse_payload, payload))


def new_layer(payload: bytes, signature: bytes) -> dict[str, Any]:
    """The descriptor of a signed payload."""
    annotations = {SIGNATURE_ANNOTATION: base64.b64encode(signature).decode()}
    return Descriptor(
        PAYLOAD_TYPE, Digest.of(payload), len(payload), annotations=annotations
    ).to_json()


def attach(layers: list[dict[str, Any]], signed: Digest, target: SignatureTarget) -> None:
    """Add signers to the signature manifest that `target` keeps; their payloads are there."""
    merged = merge(target.manifest(tag(signed)), layers)
    if merged is not None:
        raw, config = merged
        target.put_blob(config)
        target.put_manifest(tag(signed), raw, MediaType.OCI_MANIFEST)


def merge(existing: bytes | None, layers: list[dict[str, Any]]) -> tuple[bytes, bytes] | None:
    """Add signers to a signature manifest; returns its new bytes and those of its config.

    What is there is kept as it is, whoever wrote it. None when nothing is new.
    """
    kept = [] if existing is None else _layers(existing)
    known = {_key(layer) for layer in kept}
    added = [layer for layer in layers if _key(layer) not in known]
    if not added:
        return None
    merged = kept + added
    config = compact(
        {
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in merged]},
        }
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MediaType.OCI_MANIFEST,
        "config": Descriptor(MediaType.OCI_CONFIG, Digest.of(config), len(config)).to_json(),
        "layers": merged,
    }
    return compact(manifest), config


def missing_layers(existing: bytes | None, offered: bytes) -> list[dict[str, Any]]:
    """The signed payloads of the manifest `offered` that `existing` lacks."""
    known = set() if existing is None else {_key(layer) for layer in _layers(existing)}
    layers = [layer for layer in _layers(offered) if layer["mediaType"] == PAYLOAD_TYPE]
    return [layer for layer in layers if _key(layer) not in known]


def _layers(raw: bytes) -> list[dict[str, Any]]:
    """The layers as they were written, keys that only other tools know included."""
    Manifest.parse(raw)
    return list(json.loads(raw).get("layers") or [])


def _key(layer: dict[str, Any]) -> tuple[object, object]:
    return layer["digest"], (layer.get("annotations") or {}).get(SIGNATURE_ANNOTATION)
