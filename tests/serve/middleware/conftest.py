"""One server that asks for API keys, one that does not; the second has a model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelkit.serve.keys import SCOPES, KeyFile
from modelkit.store import Store
from tests.serve.api.harness import Server, add_model, running


@pytest.fixture(scope="package")
def open_server(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Iterator[Server]:
    """A server without API keys that has the model `tiny`."""
    store = Store(tmp_path_factory.mktemp("open") / "models")
    add_model(store, "tiny", tiny_llama, parameters={"temperature": 0.0, "seed": 1})
    with running(store) as server:
        yield server


@pytest.fixture(scope="package")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> KeyFile:
    """The keys of `guarded`."""
    return KeyFile(tmp_path_factory.mktemp("keys") / "api-keys.json")


@pytest.fixture(scope="package")
def keys(key_file: KeyFile) -> dict[str, str]:
    """A key for each scope alone, by the scope's name."""
    return {scope: key_file.create(scope, (scope,)) for scope in SCOPES}


@pytest.fixture(scope="package")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, key_file: KeyFile, keys: dict[str, str]
) -> Iterator[Server]:
    """A server over an empty store that asks for those keys."""
    store = Store(tmp_path_factory.mktemp("guarded") / "models")
    with running(store, keys=key_file) as server:
        yield server
