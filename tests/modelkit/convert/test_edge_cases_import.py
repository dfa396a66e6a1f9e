"""Edge case 89 of the second list: checkpoints in FP8.

The other cases of imports are tests beside this one; tests/test_edge_cases.py names them.
"""

import io
from pathlib import Path
from typing import Any

import pytest

from modelkit.convert import convert
from modelkit.errors import ConvertError
from tests.modelkit.convert.samples import change, join, split
from tests.modelkit.convert.samples import copy as copied

NUMBERS = {89}
WEIGHTS = "model.safetensors"
MATRIX = "model.layers.0.mlp.up_proj.weight"


@pytest.mark.parametrize("blocks", [None, [128, 128]])
def test_89_weights_in_fp8_are_refused_by_name(tmp_path: Path, blocks: list[int] | None) -> None:
    # A difference: they are refused with and without the size of their blocks.
    files = copied("tiny_llama_tied", tmp_path / "model")
    if blocks:
        told = {"quant_method": "fp8", "weight_block_size": blocks}
        change(files["config.json"], lambda config: config.update(quantization_config=told))
    header, data = split(files[WEIGHTS])
    start, stop = header[MATRIX]["data_offsets"]
    half = (stop - start) // 2
    later: list[dict[str, Any]] = [
        entry for name, entry in header.items() if name != "__metadata__"
    ]
    for entry in later:
        entry["data_offsets"] = [at - half if at >= stop else at for at in entry["data_offsets"]]
    header[MATRIX] |= {"dtype": "F8_E4M3", "data_offsets": [start, stop - half]}
    join(files[WEIGHTS], header, data[: stop - half] + data[stop:])
    with pytest.raises(ConvertError, match=f"{MATRIX} has type F8_E4M3, which cannot be"):
        convert(files, io.BytesIO())
