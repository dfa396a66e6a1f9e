"""The Modelfiles that a command was given: read once, written back in their own encoding."""

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelkit.errors import UsageError
from modelkit.files import replacing
from modelkit.modelfile import byte_order_mark, decode

STDIN = "-"
_PATTERNS = ("Modelfile", "Modelfile.*", "*.Modelfile")


@dataclass(frozen=True)
class ModelfileOnDisk:
    """The bytes of one Modelfile; `name` is `-` for standard input."""

    name: str
    data: bytes

    @property
    def is_stdin(self) -> bool:
        return self.name == STDIN

    @property
    def folder(self) -> Path:
        """Where its relative paths start."""
        return Path() if self.is_stdin else Path(self.name).parent

    def text(self) -> str:
        """Its text; raises ModelfileError for bytes that are none."""
        return decode(self.data, self.name)

    def write(self, text: str) -> None:
        """Replace the file, keeping its encoding and permissions; standard input goes on stdout."""
        mark, encoding = byte_order_mark(self.data)
        data = mark + text.encode(encoding)
        if self.is_stdin:
            sys.stdout.buffer.write(data)
            return
        path = Path(self.name).resolve()
        with replacing(path) as file:
            os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            file.write(data)


def read_modelfiles(names: tuple[str, ...]) -> Iterator[ModelfileOnDisk]:
    """Each file; a folder stands for the Modelfiles in and below it.

    Raises UsageError for what cannot be read.
    """
    for name in names:
        if name == STDIN:
            yield ModelfileOnDisk(name, sys.stdin.buffer.read())
            continue
        for path in _find(Path(name)) if Path(name).is_dir() else [Path(name)]:
            yield ModelfileOnDisk(str(path), _read(path))


def _find(folder: Path) -> list[Path]:
    found = {path for pattern in _PATTERNS for path in folder.rglob(pattern) if path.is_file()}
    seen = sorted(path for path in found if not _is_hidden(path.relative_to(folder)))
    if not seen:
        raise UsageError(
            f"no Modelfile in {folder}", hint=f"files are found by name: {', '.join(_PATTERNS)}"
        )
    return seen


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="check the path") from error
