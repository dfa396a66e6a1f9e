"""Source suffixes and the names endpoints understand."""

from pathlib import Path

import pytest

from modelkit.serve.api.errors import ApiError, NameErrors
from modelkit.serve.api.names import find, split_source, target
from modelkit.store import Store
from tests.serve.api.harness import add_model

ERRORS = NameErrors(400, "model is required")


@pytest.mark.parametrize(
    ("text", "base", "kind"),
    [
        ("llama3", "llama3", None),
        (" llama3:8b ", "llama3:8b", None),
        ("x:cloud", "x", "cloud"),
        ("x:CLOUD", "x", "cloud"),
        ("x:local", "x", "local"),
        ("x:20b:local", "x:20b", "local"),
        ("gpt-oss:20b-cloud", "gpt-oss:20b", "cloud"),
        ("my-cloud-model", "my-cloud-model", None),
        ("model-cloud", "model-cloud", None),
        ("foo:bar-cloud/baz", "foo:bar-cloud/baz", None),
        ("host:5000/ns/m", "host:5000/ns/m", None),
    ],
)
def test_a_suffix_is_split_off(text: str, base: str, kind: str | None) -> None:
    assert split_source(text) == (base, kind)


@pytest.mark.parametrize("text", ["foo:cloud:local", "foo:local:cloud", "a:1-cloud:local"])
def test_two_suffixes_are_refused(text: str) -> None:
    with pytest.raises(ApiError, match="use either :local or :cloud, not both"):
        split_source(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("x:cloud", "x:cloud"),
        ("x:20b:cloud", "x:20b-cloud"),
        ("x:20b-cloud", "x:20b-cloud"),
        ("x:20b:local", "x:20b"),
        (" x ", "x:latest"),
        ("host:5000/ns/m", "host:5000/ns/m:latest"),
        ("host:5000/ns/m:cloud", "host:5000/ns/m:cloud"),
    ],
)
def test_transfers_take_a_suffix_for_a_tag(text: str, name: str) -> None:
    assert target(text, ERRORS).short == name


def test_a_stored_model_wins_over_the_meaning_of_its_tag(store: Store, tiny_llama: Path) -> None:
    add_model(store, "mine:cloud", tiny_llama)
    assert find(store, "mine:cloud", ERRORS).name.short == "mine:cloud"
    with pytest.raises(ApiError) as caught:
        find(store, "other:cloud", ERRORS)
    assert caught.value.status == 403


def test_a_local_suffix_finds_the_local_model(models: Store) -> None:
    assert find(models, "tiny:local", ERRORS).name.short == "tiny:latest"
    assert find(models, "tiny:latest:local", ERRORS).name.short == "tiny:latest"
