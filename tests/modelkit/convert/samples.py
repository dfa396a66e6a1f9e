"""Copies of the test models that tests may spoil, and safetensors files made by hand."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fixtures.oracle.models import files

Json = dict[str, Any]


def copy(model: str, folder: Path) -> dict[str, Path]:
    """A model's files copied into a folder, which the test may then change."""
    copied: dict[str, Path] = {}
    for name, path in files(model).items():
        if path.suffix == ".py" or "__pycache__" in name:
            continue
        copied[name] = folder / name
        copied[name].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied[name])
    return copied


def change(path: Path, edit: Callable[[Json], object]) -> None:
    """Edit a JSON file in place."""
    value = json.loads(path.read_text(encoding="utf-8"))
    edit(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def split(path: Path) -> tuple[Json, bytes]:
    """The header of a safetensors file and its data."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def join(path: Path, header: Json | str, data: bytes) -> Path:
    """Write a safetensors file from a header and data."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def change_header(path: Path, edit: Callable[[Json], object]) -> None:
    """Edit the header of a safetensors file in place; the data stays."""
    header, data = split(path)
    edit(header)
    join(path, header, data)
