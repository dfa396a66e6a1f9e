"""Checkpoints whose weights are in several files."""

import io
import json
from pathlib import Path

import pytest

from modelkit.convert import convert
from modelkit.errors import ConvertError
from tests.modelkit.convert.samples import copy, join, split

Files = dict[str, Path]
INDEX = "model.safetensors.index.json"
PARTS = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]


def sharded(folder: Path, *, index: bool = True) -> Files:
    """tiny_llama_tied with its tensors dealt out to three files."""
    files = copy("tiny_llama_tied", folder)
    header, data = split(files.pop("model.safetensors"))
    header.pop("__metadata__")
    weight_map: dict[str, str] = {}
    for number, part in enumerate(PARTS):
        mine, blob = {}, b""
        for name in sorted(header)[number::3]:
            start, end = header[name]["data_offsets"]
            mine[name] = {**header[name], "data_offsets": [len(blob), len(blob) + end - start]}
            blob += data[start:end]
            weight_map[name] = part
        files[part] = join(folder / part, mine, blob)
    if index:
        files[INDEX] = folder / INDEX
        files[INDEX].write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return files


def converted(files: Files) -> bytes:
    out = io.BytesIO()
    convert(files, out)
    return out.getvalue()


@pytest.mark.parametrize("index", [True, False])
def test_parts_give_the_same_file_as_the_whole(index: bool, tmp_path: Path) -> None:
    whole = converted(copy("tiny_llama_tied", tmp_path / "whole"))
    (tmp_path / "parts").mkdir()
    assert converted(sharded(tmp_path / "parts", index=index)) == whole


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("part", PARTS)
def test_a_missing_part_is_named(part: str, index: bool, tmp_path: Path) -> None:
    files = sharded(tmp_path, index=index)
    del files[part]
    with pytest.raises(ConvertError, match=f"weight file '{part}' is missing"):
        converted(files)


def test_a_tensor_in_two_parts_is_refused(tmp_path: Path) -> None:
    files = sharded(tmp_path)
    files[PARTS[1]].write_bytes(files[PARTS[0]].read_bytes())
    with pytest.raises(ConvertError, match="is in two files"):
        converted(files)


@pytest.mark.parametrize("weight_map", ["{}", "[]", "null", '"x"'])
def test_an_index_without_parts_is_refused(weight_map: str, tmp_path: Path) -> None:
    files = sharded(tmp_path)
    files[INDEX].write_text(f'{{"weight_map": {weight_map}}}')
    with pytest.raises(ConvertError, match=r"no weight_map|no model weights"):
        converted(files)


def test_an_index_cannot_name_files_outside_the_checkpoint(tmp_path: Path) -> None:
    files = sharded(tmp_path)
    files[INDEX].write_text('{"weight_map": {"a": "../../etc/passwd"}}')
    with pytest.raises(ConvertError, match=r"weight file '\.\./\.\./etc/passwd' is missing"):
        converted(files)
