"""Every field the official client can send works, changes nothing, or is refused by its name."""

import inspect
from typing import Any

import pytest
from openai.resources.chat.completions import Completions as Chat
from openai.resources.completions import Completions as Text
from openai.resources.embeddings import Embeddings

from modelkit.serve.openai.chat import ChatBody
from modelkit.serve.openai.completions import TextBody
from modelkit.serve.openai.embeddings import EmbeddingBody
from tests.serve.api.harness import Server

BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1},
    "/v1/completions": {"prompt": "Hi", "max_tokens": 1},
    "/v1/embeddings": {"model": "user/minilm", "input": "Hi"},
}
OF_THE_CLIENT = {"self", "extra_headers", "extra_query", "extra_body", "timeout"}
CHAT, TEXT, EMBED = BODIES


def post(server: Server, path: str, **body: Any) -> Any:
    return server.post(path, {"model": "tiny"} | BODIES[path] | body)


@pytest.mark.parametrize(
    ("method", "body"), [(Chat, ChatBody), (Text, TextBody), (Embeddings, EmbeddingBody)]
)
def test_every_field_of_the_client_is_known(method: Any, body: Any) -> None:
    sent = set(inspect.signature(method.create).parameters) - OF_THE_CLIENT
    assert sent <= set(body.__struct_encode_fields__)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user", "me"),
        ("metadata", {"a": "b"}),
        ("store", False),
        ("service_tier", "auto"),
        ("safety_identifier", "x"),
        ("prompt_cache_key", "x"),
        ("prompt_cache_retention", "24h"),
        ("prediction", {"type": "content", "content": "x"}),
        ("modalities", ["text"]),
        ("verbosity", "medium"),
        ("response_format", {"type": "text"}),
        ("response_format", {"type": " Text "}),
        ("tool_choice", "none"),
        ("parallel_tool_calls", True),
        ("stream_options", {"include_obfuscation": False}),
        ("stop", []),
        ("stop", None),
        ("keep_alive", "5m"),
        ("reasoning_effort", "none"),
        ("reasoning", {"effort": "none"}),
        ("think", False),
    ],
)
def test_a_field_that_changes_nothing(server: Server, field: str, value: object) -> None:
    answer = post(server, CHAT, **{field: value})
    assert answer.status == 200, answer.body


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (CHAT, {"foo": 1}, "foo"),
        (CHAT, {"store": True}, "store"),
        (CHAT, {"functions": []}, "functions"),
        (CHAT, {"function_call": "auto"}, "function_call"),
        (CHAT, {"audio": {"voice": "x"}}, "audio"),
        (CHAT, {"modalities": ["text", "audio"]}, "modalities"),
        (CHAT, {"web_search_options": {}}, "web_search_options"),
        (CHAT, {"moderation": {}}, "moderation"),
        (CHAT, {"verbosity": "low"}, "verbosity"),
        (CHAT, {"n": 0}, "n"),
        (CHAT, {"n": 129}, "n"),
        (CHAT, {"max_tokens": "5"}, "max_tokens"),
        (CHAT, {"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        (CHAT, {"max_tokens": 2**40}, "max_tokens"),
        (CHAT, {"seed": 2**70}, "seed"),
        (CHAT, {"temperature": "hot"}, "temperature"),
        (CHAT, {"stop": ["x", 1]}, "stop[1]"),
        (CHAT, {"stop": 1}, "stop"),
        (CHAT, {"logit_bias": {"1": 101}}, "logit_bias"),
        (CHAT, {"logit_bias": {"x": 1}}, "logit_bias"),
        (CHAT, {"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        (CHAT, {"top_logprobs": 2}, "top_logprobs"),
        (
            CHAT,
            {"stream_options": {"include_obfuscation": True}},
            "stream_options.include_obfuscation",
        ),
        (CHAT, {"stream_options": {"x": 1}}, "stream_options.x"),
        (CHAT, {"messages": []}, "messages"),
        (CHAT, {"messages": None}, "messages"),
        (CHAT, {"messages": "Hi"}, "messages"),
        (CHAT, {"reasoning_effort": "LOW"}, "reasoning_effort"),
        (CHAT, {"reasoning": {"effort": "no"}}, "reasoning.effort"),
        (CHAT, {"think": "hard"}, "think"),
        (CHAT, {"keep_alive": "soon"}, "keep_alive"),
        (CHAT, {"options": {"num_ctx": "x"}}, "num_ctx"),
        (CHAT, {"response_format": {"type": "xml"}}, "response_format.type"),
        (CHAT, {"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        (CHAT, {"response_format": "json"}, "response_format"),
        (TEXT, {"best_of": 2}, "best_of"),
        (TEXT, {"echo": True, "logprobs": 1}, "echo"),
        (TEXT, {"logprobs": 21}, "logprobs"),
        (TEXT, {"prompt": []}, "prompt"),
        (TEXT, {"prompt": 1}, "prompt"),
        (TEXT, {"prompt": ["a", 1]}, "prompt"),
        (TEXT, {"prompt": [-1]}, "prompt"),
        (TEXT, {"prompt": [1], "suffix": "x"}, "suffix"),
        (TEXT, {"prompt": ["a"] * 65, "n": 2}, "prompt"),
        (TEXT, {"stop": ["x", 1]}, "stop[1]"),
        (TEXT, {"messages": []}, "messages"),
        (EMBED, {"input": None}, "input"),
        (EMBED, {"input": []}, "input"),
        (EMBED, {"input": [1, 2]}, "input"),
        (EMBED, {"input": ["a", [1]]}, "input"),
        (EMBED, {"dimensions": 0}, "dimensions"),
        (EMBED, {"encoding_format": "int8"}, "encoding_format"),
    ],
)
def test_a_field_that_is_refused_is_named(
    server: Server, path: str, body: dict[str, Any], field: str
) -> None:
    answer = post(server, path, **body)
    assert answer.status == 400, answer.body
    error = answer.json["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert (error["param"], error["type"]) == (field, "invalid_request_error")
    assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "EOF"),
        (b"{", "unexpected EOF"),
        (b"[]", "expected an object"),
        (b'{"messages": [}', "invalid character '}' looking for beginning of value"),
        (
            b'{"model": 5}',
            "Invalid type for 'model': expected a string, but got an integer",
        ),
    ],
)
def test_a_body_that_is_none(server: Server, path: str, body: bytes, text: str) -> None:
    answer = server.post(path, body)
    assert answer.status == 400
    assert text in answer.json["error"]["message"]
    assert answer.json["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", BODIES)
def test_a_model_must_be_named_and_must_be_there(server: Server, path: str) -> None:
    for model, status in (("", 400), (None, 400), ("nope", 404), ("a//b", 400)):
        answer = post(server, path, model=model)
        assert answer.status == status, answer.body
        kind = {400: "invalid_request_error", 404: "not_found_error"}[status]
        assert answer.json["error"]["type"] == kind


def test_a_conversation_must_have_a_message(server: Server) -> None:
    answer = server.post(CHAT, {"model": "tiny"})
    assert (answer.status, answer.json["error"]["message"]) == (400, "[] is too short - 'messages'")


def test_an_error_before_a_stream_is_an_ordinary_error(server: Server) -> None:
    answer = post(server, CHAT, stream=True, model="nope")
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("application/json")
