"""The folder that the fixtures of the lint rules stand in."""

from pathlib import Path

import pytest

from tests.modelkit.lint.samples import make_folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GGUF files of 2048 tokens of context, and a folder without weights."""
    return make_folder(tmp_path_factory.mktemp("modelfiles"))
