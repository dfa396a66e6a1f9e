"""GET /v1/models: what the store has, in OpenAI's form."""

from pathlib import Path

import openai
import pytest

from modelkit.store import Store
from tests.serve.api.harness import Server, add_model, running


def test_every_model_is_listed(client: openai.OpenAI, server: Server) -> None:
    listed = client.models.list().data
    tags = server.request("GET", "/api/tags").json["models"]
    assert [model.id for model in listed] == [tag["model"] for tag in tags]
    owners = {model.id: model.owned_by for model in listed}
    assert owners["tiny:latest"] == "library"
    assert owners["user/minilm:latest"] == "user"
    assert all(model.object == "model" and model.created > 0 for model in listed)


@pytest.mark.parametrize("name", ["tiny", "tiny:latest", "user/minilm"])
def test_one_model_is_found_by_its_name(client: openai.OpenAI, name: str) -> None:
    model = client.models.retrieve(name)
    assert (model.id, model.object) == (name, "model")
    assert model.owned_by == ("user" if "/" in name else "library")


@pytest.mark.parametrize("name", ["nope", "user/nope", "TINY:other"])
def test_a_model_that_is_not_there(client: openai.OpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve(name)
    assert caught.value.code == "model_not_found"
    assert f"model '{name}' not found" in str(caught.value)


@pytest.mark.parametrize("name", ["a/b/c/d/e", "..%2F..%2Fetc", "a%00b", "%20"])
def test_a_name_that_is_none(server: Server, name: str) -> None:
    answer = server.request("GET", f"/v1/models/{name}")
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"


def test_an_empty_store_has_an_empty_list(store: Store) -> None:
    with running(store) as server:
        assert server.request("GET", "/v1/models").json == {"object": "list", "data": []}


def test_a_deleted_model_is_listed_no_more(store: Store, minilm: Path) -> None:
    add_model(store, "gone", minilm)
    with running(store) as server:
        server.request("DELETE", "/api/delete", {"model": "gone"})
        assert server.request("GET", "/v1/models").json["data"] == []
