"""Derives the committed values again, with PyTorch, and compares. Run by `make test-oracle`."""

import json
from pathlib import Path

import numpy as np
import pytest

from fixtures.oracle.models import LLAMAS, VALUES

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def derived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from fixtures.oracle.make_values import main

    out = tmp_path_factory.mktemp("values")
    main(out)
    return out


@pytest.mark.filterwarnings("default")
def test_upstreams_files_are_described_the_same(derived: Path) -> None:
    found = json.loads((derived / "gguf.json").read_text(encoding="utf-8"))
    assert found == json.loads((VALUES / "gguf.json").read_text(encoding="utf-8"))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["embeddings", *(f"logits_{model}" for model in LLAMAS)])
def test_transformers_computes_the_same(name: str, derived: Path) -> None:
    found, committed = (np.load(folder / f"{name}.npy") for folder in (derived, VALUES))
    assert found.shape == committed.shape
    assert np.abs(found - committed).max() < 1e-5 * committed.std()
