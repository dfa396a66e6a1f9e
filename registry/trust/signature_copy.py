"""Signatures travel with their model: from a registry into the store, and back out."""

from typing import Any

from modelkit.digest import Digest
from modelkit.errors import SignatureError
from modelkit.manifest import Descriptor, Manifest, MediaType
from modelkit.names import ModelName
from modelkit.registry.trust import bundle, simplesigning
from modelkit.registry.trust.claims import (
    MAX_SIGNATURES,
    SignatureSource,
    SignatureTarget,
    damaged,
    read_blob,
    read_manifest,
)
from modelkit.registry.trust.signature_store import StoreSignatures
from modelkit.store import Store


def keep_signatures(name: ModelName, signed: Digest, source: SignatureSource, store: Store) -> int:
    """Copy the signatures of the manifest `signed` into the store; returns how many are new.

    What the store has already stays: signers add up. Damaged signatures, and artifacts that are
    none, stay behind.
    """
    target = StoreSignatures(store, name)
    with target.changing():
        return _copy(signed, source, target)


def publish_signatures(
    name: ModelName, signed: Digest, store: Store, target: SignatureTarget
) -> int:
    """Copy the store's signatures of the manifest `signed` out; returns how many were new there."""
    return _copy(signed, StoreSignatures(store, name), target)


def _copy(signed: Digest, source: SignatureSource, target: SignatureTarget) -> int:
    return _copy_payloads(signed, source, target) + _copy_bundles(signed, source, target)


def _copy_payloads(signed: Digest, source: SignatureSource, target: SignatureTarget) -> int:
    present = target.manifest(simplesigning.tag(signed))
    copied = []
    for layer, payload in _payloads(signed, source, present):
        target.put_blob(payload)
        copied.append(layer)
    simplesigning.attach(copied, signed, target)
    return len(copied)


def _payloads(
    signed: Digest, source: SignatureSource, present: bytes | None
) -> list[tuple[dict[str, Any], bytes]]:
    """The layers that `present` lacks, each with its bytes; damaged ones are left out."""
    ignored: list[SignatureError] = []
    layers: list[dict[str, Any]] = []
    with damaged(ignored):
        manifest = read_manifest(source, simplesigning.tag(signed))
        layers = simplesigning.missing_layers(present, manifest.raw) if manifest else []
    found = []
    for layer in layers[:MAX_SIGNATURES]:
        with damaged(ignored):
            found.append((layer, read_blob(source, Descriptor.parse(layer).digest)))
    return found


def _copy_bundles(signed: Digest, source: SignatureSource, target: SignatureTarget) -> int:
    tag = bundle.tag(signed)
    present = read_manifest(target, tag)
    copied = 0
    for manifest, blobs in _bundles(signed, source, present):
        for blob in blobs:
            target.put_blob(blob)
        target.put_manifest(str(manifest.digest), manifest.raw, manifest.media_type)
        # A target with a referrers API, as the local store, lists the artifact by itself.
        index = bundle.merge_index(target.manifest(tag), manifest.raw)
        if index is not None:
            target.put_manifest(tag, index, MediaType.OCI_INDEX)
        copied += 1
    return copied


def _bundles(
    signed: Digest, source: SignatureSource, present: Manifest | None
) -> list[tuple[Manifest, list[bytes]]]:
    """The artifacts that `present` does not list, each with its blobs; damaged ones left out."""
    ignored: list[SignatureError] = []
    known = {entry.digest for entry in present.manifests} if present else set()
    index = None
    with damaged(ignored):
        index = read_manifest(source, bundle.tag(signed))
    found = []
    for entry in index.manifests[:MAX_SIGNATURES] if index else ():
        if entry.digest in known:
            continue
        with damaged(ignored):
            manifest = read_manifest(source, str(entry.digest))
            if manifest and bundle.is_signature(manifest, signed):
                blobs = [read_blob(source, blob.digest) for blob in manifest.descriptors()]
                found.append((manifest, blobs))
    return found
