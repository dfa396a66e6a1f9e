"""The committed checkpoints are what their scripts make."""

import importlib
from pathlib import Path

import pytest

from fixtures.oracle.models import FIXTURES, LLAMAS


@pytest.mark.parametrize("model", LLAMAS)
def test_the_script_makes_the_committed_files(model: str, tmp_path: Path) -> None:
    importlib.import_module(f"fixtures.{model}.make").main(tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {
        path.name: path.read_bytes()
        for path in (FIXTURES / model).iterdir()
        if path.is_file() and path.suffix != ".py"
    }
    assert made == committed


def test_the_fixtures_stay_small() -> None:
    folders = [FIXTURES / name for name in (*LLAMAS, "oracle")]
    sizes = [path.stat().st_size for folder in folders for path in folder.iterdir()]
    assert sum(sizes) < 2_500_000
