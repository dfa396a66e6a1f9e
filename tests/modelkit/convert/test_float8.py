"""Checkpoints in FP8: what the engine gets is each weight times the scale of its block."""

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.convert import convert
from modelkit.errors import ConvertError
from modelkit.store import Store
from tests.modelkit.builds import NAME, config_of
from tests.modelkit.convert.samples import change, copy, join, split

Files = dict[str, Path]
WEIGHTS = "model.safetensors"
MATRIX = "model.layers.0.mlp.up_proj.weight"
# Neither divides the other's sizes, nor the matrices'.
BLOCK = (24, 40)


def e4m3(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The numbers that these bytes are, by the format's definition."""
    exponents, fractions = data >> 3 & 15, (data & 7).astype(np.float32)
    fractions[exponents > 0] += 8
    signs = np.where(data >> 7, np.float32(-1), np.float32(1))
    values: np.ndarray[Any, Any] = signs * np.ldexp(
        fractions, np.maximum(exponents, 1).astype(int) - 10
    )
    return values


class Checkpoint:
    """A llama whose layers' matrices are in FP8, and the same in float32."""

    def __init__(self, folder: Path, suffix: str = "_scale_inv", narrow: bool = False) -> None:
        self.files = copy("tiny_llama_tied", folder / "fp8")
        self.plain = copy("tiny_llama_tied", folder / "f32")
        header, data = split(self.files[WEIGHTS])
        header.pop("__metadata__", None)
        packed: dict[str, tuple[str, list[int], bytes]] = {}
        wide = dict(packed)
        random = np.random.default_rng(7)
        for name, entry in header.items():
            start, stop = entry["data_offsets"]
            packed[name] = wide[name] = (entry["dtype"], entry["shape"], data[start:stop])
            if len(entry["shape"]) == 1 or "layers" not in name:
                continue
            values = random.integers(0, 0x7F, entry["shape"], np.uint8)
            values |= random.integers(0, 2, entry["shape"], np.uint8) << 7
            grid = [-(-size // block) for size, block in zip(entry["shape"], BLOCK, strict=True)]
            scales = random.uniform(1e-4, 1e-3, grid).astype("<f4")
            scales = (scales.view("<u4") & 0xFFFF0000).view("<f4")
            bits = (scales.view("<u4") >> 16).astype("<u2") if narrow else scales
            packed[name] = ("F8_E4M3", entry["shape"], values.tobytes())
            kind = "BF16" if narrow else "F32"
            stem = name if suffix.startswith("_") else name.removesuffix(".weight")
            packed[stem + suffix] = (kind, grid, bits.tobytes())
            rows, columns = (np.arange(n) // b for n, b in zip(entry["shape"], BLOCK, strict=True))
            product = e4m3(values) * scales[np.ix_(rows, columns)]
            wide[name] = ("F32", entry["shape"], product.astype("<f4").tobytes())
        write(self.files[WEIGHTS], packed)
        write(self.plain[WEIGHTS], wide)
        told = {"quant_method": "fp8", "weight_block_size": list(BLOCK)}
        change(self.files["config.json"], lambda config: config.update(quantization_config=told))


def write(path: Path, tensors: dict[str, tuple[str, list[int], bytes]]) -> None:
    header, data = {}, b""
    for name, (dtype, shape, raw) in tensors.items():
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        data += raw
    join(path, json.dumps(header), data)


def converted(files: Files, outtype: str) -> bytes:
    out = io.BytesIO()
    convert(files, out, outtype)
    return out.getvalue()


@pytest.mark.parametrize(
    ("suffix", "narrow"), [("_scale_inv", False), ("_scale", True), (".scale", False)]
)
def test_89_weights_are_multiplied_with_their_scales(
    suffix: str, narrow: bool, tmp_path: Path
) -> None:
    model = Checkpoint(tmp_path, suffix, narrow)
    assert converted(model.files, "f32") == converted(model.plain, "f32")
    assert converted(model.files, "auto") == converted(model.files, "bf16")


def test_89_the_store_gets_them_in_eight_bits_too(tmp_path: Path, store: Store) -> None:
    manifest = build(Recipe(files=Checkpoint(tmp_path).files), NAME, store)
    assert config_of(store, manifest).file_type == "Q8_0"
    asked = build(Recipe(files=Checkpoint(tmp_path).files, quantize="f16"), NAME, store)
    assert config_of(store, asked).file_type == "F16"


def without_blocks(files: Files) -> None:
    change(files["config.json"], lambda config: config.pop("quantization_config"))


def without_scales(files: Files) -> None:
    header, _ = split(files[WEIGHTS])
    raw = files[WEIGHTS].read_bytes()
    text = json.dumps(header).replace("up_proj.weight_scale_inv", "up_proj.weight_zero")
    (length,) = struct.unpack("<Q", raw[:8])
    join(files[WEIGHTS], text, raw[8 + length :])


def with_other_blocks(files: Files) -> None:
    about = {"quantization_config": {"weight_block_size": [128, 128]}}
    change(files["config.json"], lambda config: config.update(about))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_blocks, "missing fp8 block size metadata for tensor"),
        (without_scales, f"missing fp8 scale companion for tensor '{MATRIX}'"),
        (with_other_blocks, "of shape"),
    ],
)
def test_89_what_is_missing_is_named(
    spoil: Callable[[Files], None], message: str, tmp_path: Path
) -> None:
    files = Checkpoint(tmp_path).files
    spoil(files)
    with pytest.raises(ConvertError, match=message):
        convert(files, io.BytesIO())
