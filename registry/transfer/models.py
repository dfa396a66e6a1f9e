"""Pull a model from a registry into the store; push one from the store to a registry."""

import shutil
from collections.abc import Iterable

from modelkit.digest import Digest
from modelkit.errors import (
    InvalidName,
    ManifestError,
    ModelNotFound,
    StoreError,
)
from modelkit.manifest import Descriptor, Manifest
from modelkit.names import ModelName
from modelkit.progress import Progress, Report, silent
from modelkit.registry.client import RegistryClient
from modelkit.registry.transfer.download import BlobDownload
from modelkit.registry.transfer.jobs import run_jobs
from modelkit.registry.transfer.partial import is_whole
from modelkit.registry.transfer.parts import read_records
from modelkit.registry.transfer.remote_signatures import RemoteSignatures
from modelkit.registry.transfer.upload import BlobUpload
from modelkit.registry.trust.policy import Policy
from modelkit.registry.trust.signing import keep_signatures, publish_signatures
from modelkit.settings import flag
from modelkit.store import Store

_SPARE_BYTES = 1024 * 1024


def pull(
    name: ModelName,
    store: Store,
    *,
    report: Report = silent,
    insecure: bool = False,
    policy: Policy | None = None,
) -> Manifest:
    """Bring a model and its signatures into the store; returns its manifest.

    The trust policy (the one in force, unless given) is asked about the manifest's exact bytes
    before any blob is fetched. Blobs that are there are kept, unfinished ones are continued. The
    model appears once everything is there; layers that only its former self used are removed.

    Raises NotFound, Refused, Unreachable, AuthError, RegistryError, ManifestError, StoreError,
    DigestMismatch, and whatever `report` raises.
    """
    report(Progress("pulling manifest"))
    with RegistryClient.for_name(name, insecure=insecure) as client:
        raw, _ = client.manifest(name.repository, name.tag)
        manifest = Manifest.parse(raw)
        _require_model(name, manifest)
        signatures = RemoteSignatures(client, name.repository)
        (policy or Policy.default()).check(name, raw, signatures)
        former = _former_blobs(name, store)
        with store.lease():
            _fetch(client, name, manifest, store, report)
            report(Progress("verifying sha256 digest"))
            keep_signatures(name, manifest.digest, signatures, store)
            report(Progress("writing manifest"))
            store.write_manifest(name, manifest)
    unused = former - {descriptor.digest for descriptor in manifest.descriptors()}
    if unused and not flag("NOPRUNE"):
        report(Progress("removing unused layers"))
        store.discard(unused)
    report(Progress("success"))
    return manifest


def push(
    name: ModelName, store: Store, *, report: Report = silent, insecure: bool = False
) -> Digest:
    """Send a stored model and its signatures to its registry; returns the manifest's digest.

    Raises ModelNotFound, Unreachable, AuthError, RegistryError, StoreError, and whatever `report`
    raises.
    """
    report(Progress("retrieving manifest"))
    try:
        manifest = store.manifest(name)
    except ModelNotFound:
        report(Progress("couldn't retrieve manifest"))
        raise
    with store.lease(), RegistryClient.for_name(name, insecure=insecure) as client:
        uploads = [_upload(client, name, descriptor, store) for descriptor in _blobs(manifest)]
        run_jobs(uploads, "pushing", report)
        report(Progress("pushing manifest"))
        client.put_manifest(name.repository, name.tag, manifest.raw, manifest.media_type)
        remote = RemoteSignatures(client, name.repository)
        publish_signatures(name, manifest.digest, store, remote)
    report(Progress("success"))
    return manifest.digest


def _fetch(
    client: RegistryClient, name: ModelName, manifest: Manifest, store: Store, report: Report
) -> None:
    missing = []
    for descriptor in _blobs(manifest):
        if is_whole(store, descriptor):
            digest, size = descriptor.digest, descriptor.size
            report(Progress(f"pulling {digest.short}", digest, size, size))
        else:
            missing.append(descriptor)
    _require_space(store, missing)
    run_jobs(
        [BlobDownload(client, name.repository, descriptor, store) for descriptor in missing],
        "pulling",
        report,
    )


def _upload(
    client: RegistryClient, name: ModelName, descriptor: Descriptor, store: Store
) -> BlobUpload:
    return BlobUpload(
        client,
        name.repository,
        descriptor,
        lambda: store.open_blob(descriptor.digest),
        _mount_source(name, descriptor),
    )


def _mount_source(name: ModelName, descriptor: Descriptor) -> str | None:
    """The repository of the same registry that the layer came from, if its note names one."""
    try:
        source = ModelName.parse(descriptor.from_ or "")
    except InvalidName:
        return None
    same = source.host.lower() == name.host.lower() and source.repository != name.repository
    return source.repository if same else None


def _blobs(manifest: Manifest) -> list[Descriptor]:
    """Each blob once, layers before the config, as Ollama transfers them."""
    config = () if manifest.config is None else (manifest.config,)
    return list({item.digest: item for item in (*manifest.layers, *config)}.values())


def _require_model(name: ModelName, manifest: Manifest) -> None:
    if manifest.manifests:
        raise ManifestError(
            f"{name} is an index of {len(manifest.manifests)} manifests, not a model",
            hint="pull one of the models it lists by its own tag",
        )
    if manifest.config is None:
        raise ManifestError(f"{name} is not a model: its manifest has no config")
    sizes: dict[Digest, int] = {}
    for descriptor in manifest.descriptors():
        if sizes.setdefault(descriptor.digest, descriptor.size) != descriptor.size:
            raise ManifestError(f"{name}: the manifest gives {descriptor.digest} two sizes")


def _former_blobs(name: ModelName, store: Store) -> set[Digest]:
    try:
        return {descriptor.digest for descriptor in store.manifest(name).descriptors()}
    except (ModelNotFound, ManifestError):
        return set()


def _require_space(store: Store, missing: Iterable[Descriptor]) -> None:
    """Raise StoreError when the disk cannot hold what is still to come."""
    needed = sum(item.size - _bytes_there(store, item) for item in missing)
    folder = store.root
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed and needed + _SPARE_BYTES > free:
        raise StoreError(
            f"not enough space in {store.root}: {needed} bytes to download, {free} free",
            hint="free some space, or set MODELKIT_MODELS to a larger disk",
        )


def _bytes_there(store: Store, descriptor: Descriptor) -> int:
    path = store.partial_path(descriptor.digest)
    return min(sum(part.completed for part in read_records(path)), descriptor.size)
