"""Structured output with OpenAI's client: every answer has the form, or the request is refused."""

import json
from typing import Any, Literal

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from tests.serve.api.harness import Server

USER: list[ChatCompletionMessageParam] = [{"role": "user", "content": "2 + 2?"}]


class Verdict(BaseModel, extra="forbid"):
    """What the tests ask for: models of no sense get to its end, as there are few ways."""

    mood: Literal["good", "bad"]
    right: bool


def schema_format(schema: Any, **fields: Any) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema} | fields}


@pytest.mark.parametrize("model", ["tiny", "thinker"])
def test_a_model_of_pydantic_is_parsed(client: openai.OpenAI, model: str) -> None:
    for seed in range(3):
        answer = client.chat.completions.parse(
            model=model, messages=USER, response_format=Verdict, seed=seed, temperature=1.5
        )
        assert isinstance(answer.choices[0].message.parsed, Verdict)
        assert answer.choices[0].finish_reason == "stop"


def test_a_stream_is_parsed_too(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="tiny", messages=USER, response_format=Verdict, seed=1
    ) as stream:
        stream.until_done()
        answer = stream.get_final_completion()
    assert isinstance(answer.choices[0].message.parsed, Verdict)


@pytest.mark.parametrize("strict", [True, False, None])
def test_a_schema_holds_strict_or_not(server: Server, strict: bool | None) -> None:
    form = schema_format(Verdict.model_json_schema(), strict=strict)
    body = {"model": "tiny", "messages": USER, "response_format": form}
    [choice] = server.post("/v1/chat/completions", body).json["choices"]
    Verdict.model_validate_json(choice["message"]["content"])


def test_json_object_gives_an_object(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="thinker",
        messages=USER,
        response_format={"type": "json_object"},
        logit_bias={},
        max_tokens=200,
    )
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)
    assert (answer.choices[0].message.content or "").lstrip().startswith("{")


@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_enforced_is_refused_by_name(server: Server, stream: bool) -> None:
    form = schema_format({"type": "object", "propertyNames": {"pattern": "^(?=a)"}})
    body = {"model": "tiny", "messages": USER, "response_format": form, "stream": stream}
    answer = server.post("/v1/chat/completions", body)
    assert answer.status == 400
    error = answer.json["error"]
    assert "propertyNames" in error["message"]
    assert error["type"] == "invalid_request_error"
