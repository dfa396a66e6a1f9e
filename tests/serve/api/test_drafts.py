"""Models with a draft model, from their build to their answers."""

from pathlib import Path

from modelkit.compiler.sources import model_files, relative_names
from modelkit.model import Model
from modelkit.names import ModelName
from modelkit.serve.loading import Loading
from modelkit.serve.types import LoadOptions
from modelkit.store import Store
from tests.serve.api.harness import Server, add_model

_GREEDY = {"temperature": 0, "num_predict": 40, "num_ctx": 256}


def test_a_model_hands_its_draft_model_to_the_runner(store: Store, tiny_llama: Path) -> None:
    files = relative_names(model_files(tiny_llama))
    add_model(store, "drafted", tiny_llama, quantize="q8_0", drafts=files)
    model = Model.open(store, ModelName.parse("drafted"))
    found = Loading(model, LoadOptions()).files
    assert found.draft == str(model.drafts[0])
    assert found.draft != found.model


def test_an_answer_is_the_same_with_guesses_and_without(server: Server, tiny_llama: Path) -> None:
    files = relative_names(model_files(tiny_llama))
    add_model(server.store, "plain", tiny_llama, quantize="f32")
    add_model(server.store, "drafted", tiny_llama, quantize="f32", drafts=files)
    texts = []
    for name, options in (("plain", {}), ("drafted", {}), ("plain", {"draft_num_predict": 6})):
        request = {"model": name, "prompt": "Why is the sky blue?", "stream": False}
        answer = server.post("/api/generate", {**request, "options": {**_GREEDY, **options}})
        assert answer.status == 200, answer.body
        texts.append(answer.json["response"])
    assert len(texts[0]) > 20
    assert texts == texts[:1] * 3
