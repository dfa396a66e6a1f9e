"""Our GGUF files against those of llama.cpp's own converter, byte for byte.

What that converter wrote is committed in fixtures/oracle/gguf.json.
"""

import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from fixtures.oracle.describe import describe
from fixtures.oracle.models import MODELS, OUTTYPES, VALUES

UPSTREAM = json.loads((VALUES / "gguf.json").read_text(encoding="utf-8"))

# Keys that llama.cpp's converter writes and we do not: pattern -> why
DIFFERENCES = {
    "general.name": "guessed from the folder's name or the model card",
    "general.size_label": "a label made from the number of parameters, which the tensors tell",
    "general.organization": "guessed from the model card",
    "general.license": "from the model card; a Modelfile's LICENSE is where a model's licence goes",
    "general.tags": "from the model card",
    "general.languages": "from the model card",
    "general.dataset.*": "from the model card",
}


def _left_out(key: str) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in DIFFERENCES)


@pytest.mark.parametrize("outtype", OUTTYPES)
@pytest.mark.parametrize("model", MODELS)
def test_every_tensor_byte_is_upstreams(
    model: str, outtype: str, converted: Callable[[str, str], Path]
) -> None:
    assert (
        describe(converted(model, outtype))["tensors"] == UPSTREAM[f"{model}-{outtype}"]["tensors"]
    )


@pytest.mark.parametrize("outtype", OUTTYPES)
@pytest.mark.parametrize("model", MODELS)
def test_every_key_is_upstreams_but_for_the_list(
    model: str, outtype: str, converted: Callable[[str, str], Path]
) -> None:
    upstream = UPSTREAM[f"{model}-{outtype}"]["keys"]
    expected = {key: value for key, value in upstream.items() if not _left_out(key)}
    assert describe(converted(model, outtype))["keys"] == expected


def test_every_entry_of_the_list_is_needed() -> None:
    written = {key for description in UPSTREAM.values() for key in description["keys"]}
    for pattern in DIFFERENCES:
        assert any(fnmatchcase(key, pattern) for key in written), pattern
