"""Stores with small real models, and servers over them."""

from collections.abc import Iterator
from pathlib import Path

import ollama
import pytest

from modelkit.registry.trust.keys import generate_openssh
from modelkit.store import Store
from tests.registry.conftest import registry, start_registry
from tests.serve.api.edges import create
from tests.serve.api.harness import Server, add_model, derive, running

__all__ = ["registry", "start_registry"]  # fixtures of the registry's tests, used here too


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path, minilm: Path) -> Store:
    """A store that tests only read: tiny (chat), minilm (embeddings), and variants of tiny."""
    store = Store(tmp_path_factory.mktemp("store") / "models")
    add_model(store, "tiny", tiny_llama, parameters={"temperature": 0.0, "seed": 1})
    add_model(store, "exact", tiny_llama, quantize="f32")
    add_model(store, "minilm", minilm)
    derive(store, "go", template="{{ .System }} {{ .Prompt }}")
    derive(store, "plain", template="{{ .Prompt }}")
    derive(store, "persona", system="You are Mario.", messages=(("user", "a"), ("assistant", "b")))
    return store


@pytest.fixture(scope="session")
def shared(models: Store) -> Iterator[Server]:
    """A server over `models`, shared by the tests that change nothing."""
    with running(models) as server:
        yield server


@pytest.fixture
def client(shared: Server) -> Iterator[ollama.Client]:
    """Ollama's Python client of the shared server."""
    with shared.client() as client:
        yield client


@pytest.fixture
def server(store: Store) -> Iterator[Server]:
    """A server over an empty store of the test's own."""
    with running(store) as server:
        yield server


@pytest.fixture
def upstream(shared: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server that has the models; its host may be asked."""
    monkeypatch.setenv("MODELKIT_REMOTES", f"example.com, 127.0.0.1:{shared.port}")
    return shared


@pytest.fixture
def near(store: Store, upstream: Server) -> Iterator[Server]:
    """A server with stubs of the other's models and nothing else."""
    with running(store) as server:
        create("far", base="tiny", remote_host=upstream.url).play(server)
        create(
            "mario",
            base="go",
            remote_host=upstream.url,
            system="You are Mario.",
            parameters={"num_predict": 3, "num_ctx": 512},
            messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        ).play(server)
        yield server


@pytest.fixture
def key() -> Path:
    """The key of this machine."""
    path = Path.home() / ".modelkit" / "id_ed25519"
    generate_openssh(path)
    return path
