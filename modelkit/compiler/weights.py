"""From a recipe's files to GGUF blobs: taken as they are, converted, quantized."""

import re
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from modelkit.compiler.layers import Layers
from modelkit.convert import convert, is_checkpoint
from modelkit.convert.safetensors import read_tensors
from modelkit.convert.scales import FLOAT8
from modelkit.digest import Digest
from modelkit.errors import GGUFError, InvalidDigest, UsageError, store_errors
from modelkit.gguf import GGUFHeader, read_header
from modelkit.manifest import Descriptor, MediaType
from modelkit.model.traits import file_type, layer_type
from modelkit.progress import Progress, Report
from modelkit.quantize import UNQUANTIZED, quantize

_MAGIC = b"GGUF"
_OUTTYPES: Mapping[str | None, str] = {
    None: "auto",
    "F32": "f32",
    "F16": "f16",
    "BF16": "bf16",
}
_SHARD_NAME = re.compile(r".+-\d{5}-of-(\d{5})\.gguf", re.ASCII)
# What a folder holds beside its weights; a GGUF file carries all of it inside.
_SIDECARS = {".json", ".jinja", ".model", ".txt", ".md"}


@dataclass(frozen=True)
class Weights:
    """A GGUF blob that will be a layer, and its header without the arrays."""

    layer: Descriptor
    header: GGUFHeader


class Importer:
    """Brings weights into the store; `quantization` is a canonical type name or None."""

    def __init__(self, layers: Layers, quantization: str | None, report: Report) -> None:
        self.layers = layers
        self.store = layers.store
        self.quantization = quantization
        self.report = report

    def files(self, files: Mapping[str, Path]) -> Iterator[Weights]:
        """Import what FROM names: a safetensors checkpoint, or GGUF files sorted by name.

        Raises UsageError when there is nothing that can be imported.
        """
        if is_checkpoint(files):
            yield self._checkpoint(files)
            return
        weights = [name for name in sorted(files) if _is_gguf(name, files[name])]
        if not weights:
            raise UsageError(
                "unknown type",
                hint="FROM takes a GGUF file or a folder with model*.safetensors",
            )
        for name in weights:
            yield self._gguf(name, files[name])

    def adapter(self, files: Mapping[str, Path], base: GGUFHeader) -> Weights:
        """Import what ADAPTER names for the model `base`: a GGUF file, or a folder of PEFT's."""
        if not is_checkpoint(files):
            return self._one_gguf(files, MediaType.ADAPTER, "adapter")
        # numpy is only needed, and only loaded, when something is converted
        from modelkit.convert.lora import STATUS, convert_lora

        self.report(Progress(STATUS))
        with self.store.writer() as writer:
            convert_lora(files, base, writer, self.report)
        return self._rewritten(writer.digest, writer.size, MediaType.ADAPTER)

    def draft(self, files: Mapping[str, Path]) -> Weights:
        """Import what DRAFT names: a GGUF file, or a checkpoint, which is not quantized."""
        if is_checkpoint(files):
            return self._converted(files, None, MediaType.DRAFT)
        return self._one_gguf(files, MediaType.DRAFT, "draft model")

    def _one_gguf(self, files: Mapping[str, Path], media_type: str, what: str) -> Weights:
        names = [name for name in sorted(files) if _is_gguf(name, files[name])]
        if len(names) != 1:
            raise UsageError(
                f"only one {what} is currently supported" if names else "unknown type",
                hint=f"give one GGUF file as {what}",
            )
        self.report(Progress("parsing GGUF"))
        header = _read_gguf(names[0], files[names[0]])
        if layer_type(header) != media_type and media_type == MediaType.ADAPTER:
            raise UsageError(
                f"{names[0]} is not an adapter: its general.type is not 'adapter'",
                hint="a whole model belongs into FROM",
            )
        return self._as_is(names[0], files[names[0]], media_type, header)

    def stored(self, layer: Descriptor) -> Weights:
        """A layer of a base model, quantized if that was asked for and it is the model itself.

        Raises BlobNotFound when it is not in the store.
        """
        self.store.blob_size(layer.digest)  # raises BlobNotFound, which says what to do
        path = self.store.blob_path(layer.digest)
        header = read_header(path, arrays=False)
        if layer.media_type == MediaType.MODEL and (wanted := self._wanted(header)):
            return self._quantized(path, wanted)
        return Weights(layer, header)

    def _gguf(self, name: str, path: Path) -> Weights:
        self.report(Progress("parsing GGUF"))
        header = _read_gguf(name, path)
        media_type = layer_type(header)
        if media_type == MediaType.MODEL and (wanted := self._wanted(header)):
            return self._quantized(path, wanted)
        return self._as_is(name, path, media_type, header)

    def _wanted(self, header: GGUFHeader) -> str | None:
        """The type to quantize to; None when the weights have it already, or none is asked for."""
        return None if self.quantization == file_type(header) else self.quantization

    def _as_is(self, name: str, path: Path, media_type: str, header: GGUFHeader) -> Weights:
        digest, size = self._stored_file(path)
        return Weights(Descriptor(media_type, self.layers.note(digest), size, from_=name), header)

    def _stored_file(self, path: Path) -> tuple[Digest, int]:
        """Copy a file into the store, unless it is one of the store's own blobs."""
        try:
            digest = Digest.parse(path.name)
        except InvalidDigest:
            digest = None
        if digest is not None and path == self.store.blob_path(digest):
            return digest, self.store.blob_size(digest)
        return self.store.add_file(path, self.report)

    def _checkpoint(self, files: Mapping[str, Path]) -> Weights:
        wanted = self.quantization or _stored_type(files)
        if wanted is None or wanted in UNQUANTIZED:
            return self._converted(files, wanted, MediaType.MODEL)
        self.report(Progress("converting model"))
        with self._scratch_file() as path:
            with path.open("wb") as out:
                convert(files, out, outtype=_source_precision(files), report=self.report)
            return self._quantized(path, wanted)

    def _converted(
        self, files: Mapping[str, Path], precision: str | None, media_type: str
    ) -> Weights:
        """Convert straight into the store; `precision` is F32, F16, BF16 or the weights' own."""
        self.report(Progress("converting model"))
        with self.store.writer() as writer:
            convert(files, writer, outtype=_OUTTYPES[precision], report=self.report)
        return self._rewritten(writer.digest, writer.size, media_type)

    @contextmanager
    def _scratch_file(self) -> Iterator[Path]:
        """A file among the blobs, on the disk that has the room; gone afterwards."""
        path = self.store.blobs / f"tmp-{secrets.token_hex(8)}"
        with store_errors("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                yield path
            finally:
                path.unlink(missing_ok=True)

    def _quantized(self, path: Path, wanted: str) -> Weights:
        with self.store.writer() as writer:
            quantize(path, writer.path, wanted, report=self.report)
            writer.adopt()
        return self._rewritten(writer.digest, writer.size, MediaType.MODEL)

    def _rewritten(self, digest: Digest, size: int, media_type: str) -> Weights:
        header = read_header(self.store.blob_path(self.layers.note(digest)), arrays=False)
        return Weights(Descriptor(media_type, digest, size), header)


def _stored_type(files: Mapping[str, Path]) -> str | None:
    """What weights become for which no type is asked: those in float8 keep their size."""
    names = [name for name in files if name.endswith(".safetensors")]
    tensors = (tensor for name in names for tensor in read_tensors(files[name], name))
    return "Q8_0" if any(tensor.dtype == FLOAT8 for tensor in tensors) else None


def _source_precision(files: Mapping[str, Path]) -> str:
    """The type of most of a checkpoint's bytes, so that nothing is lost before quantization."""
    sizes: Counter[str] = Counter()
    for name in files:
        if name.endswith(".safetensors"):
            for tensor in read_tensors(files[name], name):
                sizes[tensor.dtype] += tensor.nbytes
    return _OUTTYPES.get(max(sizes, key=lambda dtype: sizes[dtype], default=None), "auto")


def _is_gguf(name: str, path: Path) -> bool:
    """Whether a file is meant as GGUF, by its name or its first bytes."""
    if name.endswith(".gguf"):
        return True
    if PurePosixPath(name).suffix in _SIDECARS:
        return False
    with store_errors("read", path), path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _read_gguf(name: str, path: Path) -> GGUFHeader:
    with store_errors("read", path), path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise GGUFError(f"supplied file was not in GGUF format, {path}")
    header = read_header(path, arrays=False)
    if _is_part(name, header):
        raise GGUFError(
            f'split GGUF "{name}" is not supported',
            hint="merge the parts first: llama-gguf-split --merge FIRST-PART OUTPUT",
        )
    return header


def _is_part(name: str, header: GGUFHeader) -> bool:
    """Whether the file is one of several; a single part of one is whole."""
    shard = _SHARD_NAME.fullmatch(PurePosixPath(name).name)
    count = header.metadata.get("split.count")
    return (shard is not None and int(shard[1]) > 1) or (isinstance(count, int) and count > 1)
