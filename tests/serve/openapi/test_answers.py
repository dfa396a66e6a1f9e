"""What a server answers is what its OpenAPI document says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from modelkit.store import Store
from tests.serve.api.harness import Answer, Server, add_model, running
from tests.serve.scripted import add_script

ASKED = [{"role": "user", "content": "What?"}]
TEXTS = {"model": "script", "prompt": "What?"}
CHAT = {"model": "script", "messages": ASKED}
INPUT = {"model": "script", "input": "What?"}
VECTORS = {"model": "tiny", "input": ["one", "two"]}
REQUESTS = [
    ("post", "/api/generate", {**TEXTS, "logprobs": True, "stream": False}, 200),
    ("post", "/api/generate", {**TEXTS, "model": "nobody"}, 404),
    ("post", "/api/chat", {**CHAT, "stream": False}, 200),
    ("post", "/api/chat", {**CHAT, "top_logprobs": 21}, 400),
    ("post", "/api/embed", VECTORS, 200),
    ("post", "/api/embeddings", {"model": "tiny", "prompt": "one"}, 200),
    ("post", "/api/show", {"model": "tiny", "verbose": True}, 200),
    ("post", "/api/show", {"model": "nobody"}, 404),
    ("get", "/api/tags", None, 200),
    ("get", "/api/ps", None, 200),
    ("get", "/api/version", None, 200),
    ("get", "/api/status", None, 200),
    ("get", "/healthz", None, 200),
    ("get", "/readyz", None, 200),
    ("get", "/openapi.json", None, 200),
    ("get", "/api/experimental/model-recommendations", None, 200),
    ("post", "/api/web_search", {"query": "What?"}, 403),
    ("post", "/api/web_fetch", {"url": "ftp://a.example"}, 400),
    ("delete", "/api/delete", {"model": "nobody"}, 404),
    ("post", "/api/copy", {"source": "", "destination": "x"}, 400),
    ("post", "/v1/chat/completions", {**CHAT, "logprobs": True, "n": 2}, 200),
    ("post", "/v1/chat/completions", {**CHAT, "verbosity": "high"}, 400),
    ("post", "/v1/completions", {**TEXTS, "logprobs": 2}, 200),
    ("post", "/v1/embeddings", VECTORS, 200),
    ("post", "/v1/embeddings", {**VECTORS, "encoding_format": "base64"}, 200),
    ("get", "/v1/models", None, 200),
    ("post", "/v1/responses", INPUT, 200),
    ("post", "/v1/responses", {**INPUT, "model": "nobody"}, 404),
    ("post", "/v1/responses/input_tokens", INPUT, 200),
    ("post", "/v1/messages", {**CHAT, "max_tokens": 9}, 200),
    ("post", "/v1/messages", CHAT, 400),
    ("post", "/v1/messages/count_tokens", CHAT, 200),
]
STREAMS = [
    ("/api/generate", TEXTS),
    ("/api/chat", CHAT),
    ("/v1/chat/completions", {**CHAT, "stream": True, "stream_options": {"include_usage": True}}),
    ("/v1/completions", {**TEXTS, "stream": True}),
    ("/v1/responses", {**INPUT, "stream": True}),
    ("/v1/messages", {**CHAT, "stream": True, "max_tokens": 9}),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("answers")
    store = Store(folder / "models")
    words = {"<ask>": ["It is", " four", "."]}
    add_script(store, folder, "script", words, "{{ .Prompt }}<ask>")
    add_model(store, "tiny", tiny_llama)
    with running(store, keep_alive=600.0) as server:
        yield server


@pytest.fixture(scope="module")
def described(server: Server) -> Any:
    return server.request("GET", "/openapi.json").json


def schema_of(described: Any, verb: str, path: str, answer: Answer) -> Any:
    """The schema of the answer's status and media type, with all that it refers to."""
    content = described["paths"][path][verb]["responses"][str(answer.status)]["content"]
    media = content[answer.headers["content-type"].partition(";")[0]]
    return media["schema"] | {"components": described["components"]}


@pytest.mark.parametrize(("verb", "path", "body", "status"), REQUESTS)
def test_an_answer_is_as_described(
    server: Server, described: Any, verb: str, path: str, body: Any, status: int
) -> None:
    answer = server.request(verb.upper(), path, body)
    assert answer.status == status, answer.body
    schema = schema_of(described, verb, path, answer)
    jsonschema.Draft202012Validator(schema).validate(answer.json)


@pytest.mark.parametrize(("path", "body"), STREAMS)
def test_every_part_of_a_stream_is_as_described(
    server: Server, described: Any, path: str, body: Any
) -> None:
    answer = server.post(path, body)
    assert answer.status == 200, answer.body
    schema = schema_of(described, "post", path, answer)
    lines = answer.body.decode().splitlines()
    if answer.headers["content-type"] == "text/event-stream":
        data_schema = schema["properties"]["data"]
        coded = data_schema.get("anyOf", [data_schema])[0]["contentSchema"]
        schema = coded | {"components": described["components"]}
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        ended = "anyOf" in data_schema
        assert (data[-1] == "[DONE]") == ended
        lines = data[:-1] if ended else data
    assert len(lines) > 2
    for line in lines:
        jsonschema.Draft202012Validator(schema).validate(json.loads(line))


@pytest.mark.parametrize(("verb", "path", "body", "status"), REQUESTS)
def test_a_request_that_is_answered_is_one_the_document_allows(
    described: Any, verb: str, path: str, body: Any, status: int
) -> None:
    operation = described["paths"][path][verb]
    if status != 200 or body is None:
        assert str(status) in operation["responses"]
        return
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    whole = {**schema, "components": described["components"]}
    jsonschema.Draft202012Validator(whole).validate(body)
    without = {name: value for name, value in body.items() if name != "model"}
    if path != "/api/show":  # which also takes a `name`
        with pytest.raises(jsonschema.ValidationError, match="'model' is a required property"):
            jsonschema.Draft202012Validator(whole).validate(without)
