"""The manifests of a store: which names there are, and what each is made of."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from modelkit.errors import InvalidName, ManifestError, ModelNotFound, StoreError, store_errors
from modelkit.manifest import MAX_MANIFEST_SIZE, Manifest
from modelkit.names import ModelName
from modelkit.store.blobs import BlobFolder
from modelkit.store.writer import BlobWriter, sync_file, sync_folder


class ManifestFolder(BlobFolder):
    """`manifests/` beside the blobs. A manifest is replaced at once, and only by a whole model."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.manifests = root / "manifests"

    def manifest(self, name: ModelName) -> Manifest:
        """The model's manifest; raises ModelNotFound, ManifestError."""
        path = self.manifest_path(self.resolve(name))
        try:
            with path.open("rb") as file:
                return Manifest.parse(file.read(MAX_MANIFEST_SIZE + 1))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ModelNotFound(str(name)) from None
        except ManifestError as error:
            raise ManifestError(f"{name}: {error.message}", hint="pull or build it again") from None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise ModelNotFound(str(name)) from None
            raise StoreError(f"cannot read {path}: {error.strerror}") from error

    def exists(self, name: ModelName) -> bool:
        """Whether a manifest of this name, in any case, is there."""
        return _is_file(self.manifest_path(self.resolve(name)))

    def resolve(self, name: ModelName) -> ModelName:
        """The name in the spelling on disk: parts that differ only in case are the stored ones."""
        if _is_file(self.manifest_path(name)):
            return name
        parts = {"host": name.host, "namespace": name.namespace}
        parts |= {"model": name.model, "tag": name.tag}
        for stored in self.names():
            for part, text in parts.items():
                if getattr(stored, part).lower() == text.lower():
                    parts[part] = getattr(stored, part)
        return ModelName(**parts, scheme=name.scheme)

    def write_manifest(self, name: ModelName, manifest: Manifest) -> None:
        """Make `name` this model, atomically.

        Raises BlobNotFound or StoreError, and changes nothing, when a blob is missing or has
        another size than the manifest says.
        """
        for descriptor in manifest.descriptors():
            size = self.blob_size(descriptor.digest)
            if size != descriptor.size:
                raise StoreError(
                    f"blob {descriptor.digest} has {size} bytes, the manifest says"
                    f" {descriptor.size}"
                )
        self._replace_manifest(name, manifest.raw)

    def _replace_manifest(self, name: ModelName, raw: bytes) -> None:
        path = self.manifest_path(self.resolve(name))
        # The temporary file lies among the blobs, where a crash leaves it to the collector.
        temporary = BlobWriter(self.blobs, self.lock).path
        with self.lease(), store_errors("write", path):
            self.blobs.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(raw)
                temporary.chmod(0o644)
                sync_file(temporary)
                _move(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)

    def names(self) -> list[ModelName]:
        """Every model's name, sorted; files that are no names are passed over."""
        return sorted(self._names(), key=lambda name: name.full.lower())

    def _names(self) -> Iterator[ModelName]:
        for path in _files_at_depth(self.manifests, 4):
            host, namespace, model, tag = path.parts[-4:]
            try:
                name = ModelName(host, namespace, model, tag)
            except InvalidName:
                continue
            yield name

    def modified_at(self, name: ModelName) -> float:
        """When the manifest was last written, in seconds since 1970; raises ModelNotFound."""
        try:
            return self.manifest_path(self.resolve(name)).stat().st_mtime
        except OSError:
            raise ModelNotFound(str(name)) from None

    def manifest_path(self, name: ModelName) -> Path:
        return self.manifests / name.relative_path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name may be longer than the file system takes
        return False


def _files_at_depth(folder: Path, depth: int) -> Iterator[Path]:
    """The files exactly `depth` levels down; folders that vanish meanwhile are passed over."""
    try:
        with os.scandir(folder) as entries:
            children = list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return
    for child in children:
        if depth == 1 and child.is_file():
            yield Path(child.path)
        elif depth > 1 and child.is_dir():
            yield from _files_at_depth(Path(child.path), depth - 1)


def _move(source: Path, target: Path) -> None:
    """Rename into a folder that another process may just be removing because it is empty."""
    for attempt in range(10):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            sync_folder(target.parent)
            return
        except FileNotFoundError:
            if attempt == 9:
                raise
