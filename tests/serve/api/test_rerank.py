"""/v1/rerank over HTTP with a tiny reranking model."""

from __future__ import annotations

from collections.abc import Iterator

import gguf
import pytest

from modelkit.serve.api.rerank import relevance
from modelkit.store import Store
from tests.serve.api.harness import Server, add_model, derive, running
from tests.serve.runner.tiny import BERT_WIDTH, write_adapter, write_bert

_DOCUMENTS = ["the sky is blue", "a cat sat", {"text": "why"}]


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ranker")
    write_bert(folder / "ranker.gguf", pooling=gguf.PoolingType.RANK)
    store = Store(folder / "models")
    add_model(store, "ranker", folder / "ranker.gguf")
    adapter = folder / "adapter.gguf"
    write_adapter(adapter, strength=8.0, architecture="bert", width=BERT_WIDTH)
    derive(store, "adapted", "ranker", adapters={adapter.name: adapter})
    with running(store) as server:
        yield server


def test_documents_come_best_first_with_their_places(ranker: Server) -> None:
    body = {"model": "ranker", "query": "why is the sky blue?", "documents": _DOCUMENTS}
    answer = ranker.post("/v1/rerank", body | {"return_documents": True}).json
    assert sorted(result["index"] for result in answer["results"]) == [0, 1, 2]
    scores = [result["relevance_score"] for result in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)
    texts = {result["index"]: result["document"]["text"] for result in answer["results"]}
    assert texts == {0: "the sky is blue", 1: "a cat sat", 2: "why"}
    assert answer["usage"]["total_tokens"] > 20


def test_top_n_keeps_the_best(ranker: Server) -> None:
    body = {"model": "ranker", "query": "blue", "documents": _DOCUMENTS}
    everything = ranker.post("/v1/rerank", body).json["results"]
    best = ranker.post("/v1/rerank", body | {"top_n": 1}).json["results"]
    assert best == everything[:1]


def test_the_models_own_adapters_have_their_say(ranker: Server) -> None:
    def scores(name: str) -> list[float]:
        body = {"model": name, "query": "blue", "documents": _DOCUMENTS}
        results = ranker.post("/v1/rerank", body).json["results"]
        return [result["relevance_score"] for result in sorted(results, key=lambda r: r["index"])]

    assert scores("adapted") != scores("ranker")


def test_unknown_options_are_named_in_a_header(ranker: Server) -> None:
    body = {"model": "ranker", "query": "x", "documents": ["a"], "options": {"speed": 1}}
    assert ranker.post("/v1/rerank", body).headers["x-modelkit-ignored-options"] == "speed"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": ""}, "query is required"),
        ({"documents": []}, "documents must be a list with at least one text"),
        ({"documents": [{"title": "x"}]}, "documents[0] must be a text, or an object with a text"),
        ({"top_n": 0}, "top_n must be at least 1"),
    ],
)
def test_what_is_missing_is_named(ranker: Server, change: dict[str, object], message: str) -> None:
    body = {"model": "ranker", "query": "blue", "documents": _DOCUMENTS}
    answer = ranker.post("/v1/rerank", body | change)
    assert (answer.status, answer.error) == (400, message)


def test_embedding_with_a_ranker_says_what_it_is_for(ranker: Server) -> None:
    answer = ranker.post("/api/embed", {"model": "ranker", "input": "blue"})
    assert answer.status == 400
    assert "a reranking model scores pairs of texts" in answer.error


def test_one_score_is_a_logit_and_two_are_probabilities() -> None:
    assert relevance([0.0]) == 0.5
    assert relevance([800.0]) == 1.0
    assert relevance([0.7, 0.3]) == 0.7
