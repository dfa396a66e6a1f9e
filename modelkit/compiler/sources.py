"""Where FROM, ADAPTER and DRAFT point: paths, the model files of a folder, and their names."""

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelkit.errors import ModelkitError

TEXT = "text/plain"
BINARY = "application/octet-stream"
ZIP = "application/zip"

_Groups = tuple[tuple[tuple[str, ...], str | None], ...]

# The weights of a folder: the first group with a match wins. The later patterns of a group only
# add to its first one. Safetensors start with a length and cannot be told from other files.
_MODEL_WEIGHTS: _Groups = (
    (("model*.safetensors", "*/model*.safetensors"), None),
    (("consolidated*.safetensors",), None),
    (("pytorch_model*.bin",), ZIP),
    (("consolidated*.pth",), ZIP),
    (("*.gguf",), BINARY),
    (("*.bin",), BINARY),
)
_ADAPTER_WEIGHTS: _Groups = ((("adapter*.safetensors",), None), *_MODEL_WEIGHTS)

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
# Bytes that text does not contain, as in the WHATWG sniffing rules.
_BINARY_BYTES = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_BOMS = (b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf")
_SHARD = re.compile(r"(?P<prefix>.+)-[0-9]{5}-of-(?P<count>[0-9]{5})\.gguf")


class WrongContent(ModelkitError):
    """A file whose first bytes are not what its name promises."""


def looks_like_path(text: str) -> bool:
    """Whether a FROM value can only mean a file or a folder, even when there is none."""
    return text in {".", ".."} or (
        text.startswith(("./", "../", "/", "\\", "~"))
        or text.lower().endswith((".gguf", ".safetensors"))
    )


def expand_path(text: str, directory: Path) -> Path:
    """The absolute path that `text` means in a Modelfile of `directory`.

    `~` and `~user` are home folders; nothing else is expanded. Raises ModelkitError for a user
    that this machine does not know.
    """
    path = Path(text)
    if text.startswith("~"):
        try:
            path = path.expanduser()
        except RuntimeError:
            user = path.parts[0][1:]
            raise ModelkitError(
                f"failed to find user '{user}': unknown user {user}",
                hint="write the path in full, or ~/ for your own home folder",
            ) from None
    elif not text.startswith(("/", "\\")):
        path = directory / path
    return Path(os.path.normpath(path.absolute()))


def exists(path: Path) -> bool:
    """Whether there is anything at `path`; a name too long for the file system is not there."""
    with _readable(path):
        try:
            path.stat()
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}:
                raise
            return False
    return True


def model_files(path: Path, *, adapter: bool = False) -> list[Path]:
    """The files at `path`: the file itself, all shards of a split GGUF, or those of a folder.

    Raises ModelkitError when a needed file is missing, unreadable, no regular file, a Git LFS
    pointer, or a link that leaves the folder.
    """
    with _readable(path):
        if path.is_dir():
            return _folder_files(path, _ADAPTER_WEIGHTS if adapter else _MODEL_WEIGHTS)
        files = _shards(path)
        for file in files:
            _refuse_pointer(file, _head(file))
        return files


def expand_directory(folder: Path) -> dict[str, Path]:
    """The model files of a checkpoint folder by their names inside it; raises ModelkitError."""
    return relative_names(model_files(folder))


def relative_names(files: Iterable[Path]) -> dict[str, Path]:
    """Names for files: the base name of a single one, else paths from their common folder."""
    paths = list(dict.fromkeys(files))
    if len(paths) == 1:
        return {paths[0].name: paths[0]}
    common = Path(os.path.commonpath([path.parent for path in paths])) if paths else Path()
    return {path.relative_to(common).as_posix(): path for path in paths}


def content_type(head: bytes) -> str:
    """TEXT, ZIP or BINARY, by the first 512 bytes of a file."""
    if head.startswith(b"PK\x03\x04"):
        return ZIP
    if head.startswith(_BOMS) or not _BINARY_BYTES.search(head):
        return TEXT
    return BINARY


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelkitError(
            f"cannot read {error.filename or path}: {reason}",
            hint="check the path and its permissions",
        ) from error


def _shards(path: Path) -> list[Path]:
    shard = _SHARD.fullmatch(path.name)
    if not shard or not int(shard["count"]):
        return [path]
    total = int(shard["count"])
    names = [f"{shard['prefix']}-{n:05}-of-{total:05}.gguf" for n in range(1, total + 1)]
    missing = [name for name in names if not exists(path.with_name(name))]
    if missing:
        raise ModelkitError(
            f'split GGUF "{path.name}" is incomplete: {missing[0]} is missing',
            hint=f"put all {total} parts into {path.parent}",
        )
    return [path.with_name(name) for name in names]


def _folder_files(folder: Path, groups: _Groups) -> list[Path]:
    files = _weights(folder, groups)
    files += _find(folder, "*.json", TEXT)
    files += _find(folder, "*/*.json", TEXT)
    files += _find(folder, "chat_template.jinja", TEXT)
    files += _tokenizer_model(folder)
    return files


def _weights(folder: Path, groups: _Groups) -> list[Path]:
    wrong: WrongContent | None = None
    for (pattern, *more), kind in groups:
        try:
            found = _find(folder, pattern, kind)
        except WrongContent as error:
            wrong = wrong or error
            continue
        if found:
            return found + [file for extra in more for file in _find(folder, extra, kind)]
    raise wrong or ModelkitError(
        "no Modelfile or safetensors files found",
        hint=f"{folder} holds no model*.safetensors, pytorch_model*.bin or *.gguf",
    )


def _tokenizer_model(folder: Path) -> list[Path]:
    """A SentencePiece model beside the weights, else a text one a folder below."""
    for pattern, kind in (("tokenizer.model", BINARY), ("*/tokenizer.model", TEXT)):
        try:
            found = _find(folder, pattern, kind)
        except WrongContent:
            continue
        if found:
            return found
    return []


def _find(folder: Path, pattern: str, kind: str | None) -> list[Path]:
    """The files of `folder` that match, sorted, each checked; hidden ones are left out."""
    found = []
    for file in sorted(folder.glob(pattern)):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if hidden or file.is_dir():
            continue
        _refuse_outside(file, folder)
        head = _head(file)
        _refuse_pointer(file, head)
        if kind and content_type(head) != kind:
            raise WrongContent(
                f"invalid content type: expected {kind} for {file}",
                hint=f"the file starts like {content_type(head)}; is it damaged or misnamed?",
            )
        found.append(file)
    return found


def _refuse_outside(file: Path, folder: Path) -> None:
    """A link may not smuggle a file from elsewhere into the model."""
    target, root = file.resolve(), folder.resolve()
    if target.is_relative_to(root):
        return
    relative = os.path.relpath(target, root)
    raise ModelkitError(
        f"insecure path: {relative}",
        hint="Use --local-dir <dir> when downloading model to disable caching"
        if ".cache" in relative
        else f"{file.name} is a link that leaves the folder; copy the file there instead",
    )


def _refuse_pointer(file: Path, head: bytes) -> None:
    if head.startswith(_LFS_POINTER):
        raise ModelkitError(
            f"{file} is a Git LFS pointer, not the file itself",
            hint=f"run `git lfs pull` in {file.parent}",
        )


def _head(file: Path) -> bytes:
    if not file.is_file():
        raise ModelkitError(
            f"not a regular file: {file}", hint="if it is a link, what it points to is missing"
        )
    with file.open("rb") as stream:
        return stream.read(512)
