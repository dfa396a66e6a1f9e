"""The store: blobs, manifests, and the models they make up."""

import time
from collections.abc import Collection
from functools import cached_property

from modelkit.digest import Digest
from modelkit.errors import ManifestError, store_errors
from modelkit.manifest import Descriptor
from modelkit.names import ModelName
from modelkit.progress import Progress, Report, silent
from modelkit.settings import models_dir
from modelkit.store import garbage
from modelkit.store.manifests import ManifestFolder


class Store(ManifestFolder):
    """Ollama's model folder (`manifests/` and `blobs/` below `root`).

    Blobs appear complete or not at all; manifests are replaced atomically and only when every
    blob is there; garbage is collected only while nobody holds a `lease`. So whatever process
    dies at whatever moment, each listed model is whole.
    """

    @classmethod
    def default(cls) -> "Store":
        """The store that the environment names: MODELKIT_MODELS, OLLAMA_MODELS, ~/.modelkit."""
        return cls(models_dir())

    @cached_property
    def signatures(self) -> "Store":
        """A store of its own for signatures, below `signatures/`, where Ollama does not look.

        A model's signatures lie under its own name, with tags that begin with the file name of
        the signed manifest's digest.
        """
        return Store(self.root / "signatures")

    def copy(self, source: ModelName, target: ModelName) -> None:
        """Give the model a second name; raises ModelNotFound."""
        manifest = self.manifest(source)
        self.write_manifest(target, manifest)

    def delete(self, name: ModelName) -> list[Digest]:
        """Forget the model; returns the digests of the blobs that went with it.

        The manifest goes first, so that a crash leaves garbage and never a broken model. Blobs
        that others use stay, and all stay for `prune` while another process is writing. Raises
        ModelNotFound.
        """
        path = self.manifest_path(self.resolve(name))
        try:
            manifest = self.manifest(name)
        except ManifestError:
            manifest = None  # damaged: what it referred to is found by `prune`
        doomed = garbage.references(self, manifest) if manifest else set()
        with store_errors("remove", path):
            path.unlink()
            garbage.remove_empty_folders(path.parent, self.manifests)
        if manifest and self.signatures.manifests.is_dir():
            self._delete_signatures(name, manifest.digest)
        return self.discard(doomed)

    def discard(self, digests: Collection[Digest]) -> list[Digest]:
        """Remove those of these blobs that no model uses; returns them.

        Call it after the lease has ended: while anybody holds one it removes nothing, and
        `prune` finds the garbage later.
        """
        return garbage.collect(self, lambda found: found in digests)

    def _delete_signatures(self, name: ModelName, digest: Digest) -> None:
        others = [other for other in self.names() if other.with_tag(name.tag) == name]
        if any(self.manifest(other).digest == digest for other in others):
            return
        for stored in self.signatures.names():
            if stored.with_tag(name.tag) == name and stored.tag.startswith(digest.filename):
                self.signatures.delete(stored)

    def prune(self, min_age: float = 3600.0, now: float | None = None) -> list[Digest]:
        """Remove blobs that no model uses, if older than `min_age` seconds, and stale leftovers.

        Returns the digests removed. Removes nothing at all when a manifest cannot be read, or
        while another process is writing.
        """
        cutoff = (time.time() if now is None else now) - min_age
        removed = garbage.collect(self, lambda _found: True, older_than=cutoff)
        if self.signatures.blobs.is_dir():
            removed += self.signatures.prune(min_age, now)
        return removed

    def tidy(self) -> list[Digest]:
        """What a server does at its start: old blob names become today's, then `prune`."""
        if not self.blobs.is_dir():
            return []
        with self.lease(), store_errors("rename", self.blobs):
            for path in self.blobs.rglob("sha256:*"):
                path.rename(path.with_name(path.name.replace(":", "-", 1)))
        return self.prune()

    def check(self, name: ModelName, report: Report = silent) -> list[str]:
        """Read and hash every blob of the model; returns what is wrong, one sentence each."""
        problems = []
        for descriptor in self.manifest(name).descriptors():
            digest = descriptor.digest
            report(Progress(f"verifying {digest.short}", digest, total=descriptor.size))
            problem = self._problem(descriptor)
            if problem is not None:
                problems.append(f"{descriptor.media_type} {digest} {problem}")
        return problems

    def _problem(self, descriptor: Descriptor) -> str | None:
        digest = descriptor.digest
        if not self.has_blob(digest):
            return "is missing"
        size = self.blob_size(digest)
        if size != descriptor.size:
            return f"has {size} bytes, the manifest says {descriptor.size}"
        actual = self.hash_blob(digest)
        return None if actual == digest else f"is damaged: its bytes have the digest {actual}"
