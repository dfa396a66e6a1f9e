"""A checkpoint in Hugging Face's layout: JSON files and the tensors of its safetensors files."""

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from modelkit.convert.safetensors import SourceTensor, read_tensors
from modelkit.convert.scales import with_scales
from modelkit.convert.shown import shown
from modelkit.errors import ConvertError

MAX_SIDE_FILE = 128 << 20  # bytes; the largest real tokenizer.json has 35 MB
_INDEX = "model.safetensors.index.json"
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")


def is_checkpoint(files: Mapping[str, Path]) -> bool:
    """Whether these files hold weights in safetensors format."""
    return any(name.endswith(".safetensors") for name in files)


class Checkpoint:
    """Files by their name inside the model's folder; raises ConvertError for unusable ones."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._parsed: dict[str, object] = {}

    def has(self, name: str) -> bool:
        return name in self._files

    def read(self, name: str) -> bytes:
        """A whole side file, of limited size."""
        if name not in self._files:
            raise ConvertError(f"{name} is missing", hint="give the whole folder of the model")
        try:
            with self._files[name].open("rb") as stream:
                raw = stream.read(MAX_SIDE_FILE + 1)
        except OSError as error:
            raise ConvertError(f"cannot read {name}: {error.strerror}") from error
        if len(raw) > MAX_SIDE_FILE:
            raise ConvertError(f"{name} is larger than {MAX_SIDE_FILE >> 20} MiB")
        return raw

    def text(self, name: str) -> str:
        try:
            return self.read(name).decode()
        except UnicodeDecodeError as error:
            raise ConvertError(f"{name} is not UTF-8, at byte {error.start}") from error

    def json(self, name: str) -> dict[str, object]:
        """A JSON file that holds an object."""
        value = self.any_json(name)
        if not isinstance(value, dict):
            raise ConvertError(f"{name} is not a JSON object")
        return value

    def optional_json(self, name: str) -> dict[str, object]:
        """As `json`; an empty object when there is no such file."""
        return self.json(name) if self.has(name) else {}

    def any_json(self, name: str) -> object:
        """A JSON file, parsed once."""
        if name not in self._parsed:
            try:
                self._parsed[name] = json.loads(self.text(name))
            except (ValueError, RecursionError) as error:
                raise ConvertError(f"{name} is not valid JSON") from error
        return self._parsed[name]

    @cached_property
    def tensors(self) -> dict[str, SourceTensor]:
        """All tensors by name, in the order of the files and of their headers."""
        found: dict[str, SourceTensor] = {}
        for part in self._parts():
            for tensor in read_tensors(self._files[part], part):
                if tensor.name in found:
                    raise ConvertError(f"tensor {shown(tensor.name)} is in two files, {part}")
                found[tensor.name] = tensor
        return with_scales(found, self.optional_json("config.json"))

    def _parts(self) -> list[str]:
        """The names of the weight files; none may be missing."""
        if self.has(_INDEX):
            parts = self._indexed()
        else:
            parts = sorted(name for name in self._files if fnmatchcase(name, "model*.safetensors"))
            parts += _missing_shards(parts)
        if not parts:
            raise ConvertError(
                "no model weights found", hint="expected model.safetensors or its numbered parts"
            )
        for part in parts:
            if part not in self._files:
                raise ConvertError(
                    f"weight file {shown(part)} is missing", hint="give the whole folder"
                )
        return parts

    def _indexed(self) -> list[str]:
        weight_map = self.json(_INDEX).get("weight_map")
        if not isinstance(weight_map, dict):
            raise ConvertError(f"{_INDEX} has no weight_map")
        return sorted({str(part) for part in weight_map.values()})


def _missing_shards(parts: list[str]) -> list[str]:
    """Numbered parts that the names of the others announce."""
    expected = {
        f"{match[1]}-{number:05d}-of-{match[3]}.safetensors"
        for match in map(_SHARD.fullmatch, parts)
        if match
        for number in range(1, int(match[3]) + 1)
    }
    return sorted(expected.difference(parts))
