"""GGUF files that the tests of the core build models from."""

from pathlib import Path

import pytest

from modelkit.quantize.probe import write_tiny_model
from tests.modelkit.gguf_files import write_gguf


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """A GGUF of the architecture `test`, as the reference's own tests use it."""
    return write_gguf(tmp_path / "test.gguf", {"general.architecture": "test"})


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF that llama.cpp can quantize."""
    path = tmp_path_factory.mktemp("llama") / "llama.gguf"
    with path.open("wb") as out:
        write_tiny_model(out)
    return path
