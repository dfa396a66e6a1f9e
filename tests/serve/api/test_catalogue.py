"""Models are found again without being read again, and never an old one for a new one."""

from pathlib import Path

import pytest

from modelkit.names import ModelName
from modelkit.serve.api import catalogue
from modelkit.serve.api.catalogue import Catalogue
from modelkit.serve.api.errors import ApiError, NameErrors
from modelkit.store import Store
from tests.serve.api.harness import add_model, derive

ERRORS = NameErrors(400, "model is required")


@pytest.fixture
def tiny(store: Store, tiny_llama: Path) -> Catalogue:
    """A catalogue of a store that has `tiny`."""
    add_model(store, "tiny", tiny_llama)
    return Catalogue(store)


async def test_a_model_is_read_once(tiny: Catalogue) -> None:
    assert await tiny.find("tiny", ERRORS) is await tiny.find("tiny", ERRORS)


async def test_a_model_that_was_replaced_is_read_again(tiny: Catalogue, store: Store) -> None:
    assert (await tiny.find("tiny", ERRORS)).system is None
    derive(store, "other", system="Be short.")
    store.write_manifest(ModelName.parse("tiny"), store.manifest(ModelName.parse("other")))
    assert (await tiny.find("tiny", ERRORS)).system == "Be short."


async def test_a_model_that_was_removed_is_gone(tiny: Catalogue, store: Store) -> None:
    await tiny.find("tiny", ERRORS)
    store.delete(ModelName.parse("tiny"))
    with pytest.raises(ApiError, match="not found"):
        await tiny.find("tiny", ERRORS)


async def test_another_case_means_the_model_that_is_stored_so_later(
    tiny: Catalogue, store: Store
) -> None:
    await tiny.find("TINY", ERRORS)
    store.write_manifest(ModelName.parse("TINIER"), store.manifest(ModelName.parse("tiny")))
    (store.manifests / "registry.ollama.ai/library/TINIER").rename(
        store.manifests / "registry.ollama.ai/library/TINY"
    )
    assert (await tiny.find("TINY", ERRORS)).name.model == "TINY"


async def test_a_suffix_means_the_model_that_is_stored_so_later(
    tiny: Catalogue, store: Store
) -> None:
    assert (await tiny.find("tiny:local", ERRORS)).name.tag == "latest"
    store.write_manifest(ModelName.parse("tiny:local"), store.manifest(ModelName.parse("tiny")))
    assert (await tiny.find("tiny:local", ERRORS)).name.tag == "local"


async def test_what_was_not_used_for_long_is_let_go(
    tiny: Catalogue, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_MOST", 2)
    for name in ("b", "c"):
        store.write_manifest(ModelName.parse(name), store.manifest(ModelName.parse("tiny")))
    first, old = await tiny.find("tiny", ERRORS), await tiny.find("b", ERRORS)
    assert await tiny.find("tiny", ERRORS) is first
    await tiny.find("c", ERRORS)
    assert await tiny.find("tiny", ERRORS) is first
    assert await tiny.find("b", ERRORS) is not old
