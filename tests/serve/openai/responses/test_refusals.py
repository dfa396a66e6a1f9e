"""Fields that cannot be honoured are refused by name, and failures are never silent."""

import json
import os
import signal
from typing import Any

import openai
import pytest

from modelkit.serve.openai.errors import FieldError
from modelkit.serve.openai.responses.tools import toolbox
from modelkit.serve.output.choice import Named
from tests.serve.api.harness import Server

ADD = {"type": "function", "name": "add"}
SPACE = {"type": "namespace", "name": "ns", "tools": [ADD, {**ADD, "name": "ns.sub"}]}


def pid(server: Server, name: str) -> int:
    [found] = [entry.runner.pid for entry in server.scheduler._roster if entry.name == name]
    return found


def refused(server: Server, **fields: Any) -> dict[str, Any]:
    answer = server.post("/v1/responses", {"model": "agent", "input": "<hello>", **fields})
    assert answer.status == 400, answer.body
    error: dict[str, Any] = answer.json["error"]
    assert error["type"] == "invalid_request_error"
    return error


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("background", True),
        ("conversation", "conv_1"),
        ("prompt", {"id": "pmpt_1"}),
        ("context_management", []),
        ("moderation", {"model": "m"}),
        ("service_tier", "priority"),
        ("prompt_cache_retention", "24h"),
        ("stream_options.include_obfuscation", {"include_obfuscation": True}),
        ("include[0]", ["web_search_call.results"]),
        ("text.verbosity", {"verbosity": "low"}),
        ("tools[0].type", [{"type": "web_search"}]),
        ("tools[1].type", [ADD, {"type": "file_search", "vector_store_ids": ["v"]}]),
        ("tools[0].type", [{"type": "code_interpreter", "container": "c"}]),
        ("tools[0].type", [{"type": "custom", "name": "x"}]),
        ("tools[0].type", [{"name": "x"}]),
        ("tool_choice.type", {"type": "web_search"}),
    ],
)
def test_what_no_local_model_does_is_refused_by_name(
    server: Server, field: str, value: object
) -> None:
    error = refused(server, **{field.partition(".")[0].partition("[")[0]: value})
    assert (error["param"], error["code"]) == (field, "unsupported_parameter")
    assert field in error["message"]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("temprature", 1, "unknown_parameter"),
        ("text.format.shape", {"format": {"type": "text", "shape": 1}}, "unknown_parameter"),
        ("tools[0].defer_loading", [{**ADD, "defer_loading": True}], "unknown_parameter"),
        ("max_output_tokens", "3", "invalid_type"),
        ("temperature", "hot", "invalid_type"),
        ("stream", 1, "invalid_type"),
        ("instructions", ["x"], "invalid_type"),
        ("tools[0]", ["x"], "invalid_type"),
        ("tools[0].parameters", [{**ADD, "parameters": []}], "invalid_type"),
        ("metadata", {str(n): "" for n in range(17)}, "invalid_value"),
        ("truncation", "some", "invalid_value"),
        ("max_output_tokens", 0, "invalid_value"),
        ("top_logprobs", 21, "invalid_value"),
        ("reasoning.effort", {"effort": "huge"}, "invalid_value"),
        ("text.format.type", {"format": {"type": "yaml"}}, "invalid_value"),
        ("text.format.schema", {"format": {"type": "json_schema"}}, "missing_required_parameter"),
        ("tool_choice", "always", "invalid_value"),
        ("tool_choice", "required", "invalid_value"),
        ("tool_choice", {"type": "function", "name": "sub"}, "invalid_value"),
        ("temperature", 3e99, None),
    ],
)
def test_a_wrong_field_is_named(
    server: Server, field: str, value: object, code: str | None
) -> None:
    error = refused(server, **{field.partition(".")[0].partition("[")[0]: value})
    assert (error["param"], error["code"]) == (field, code)


def test_fields_that_ask_for_what_happens_anyway_are_welcome(server: Server) -> None:
    body = {"model": "agent", "input": "<hello>", "background": False, "service_tier": "auto"}
    body |= {"prompt_cache_key": "k", "prompt_cache_retention": "in_memory", "conversation": None}
    body |= {"text": {"verbosity": "medium"}, "include": ["reasoning.encrypted_content"]}
    body |= {"stream_options": {"include_obfuscation": False}, "max_tool_calls": 3}
    body |= {"client_metadata": {"session": "s"}, "safety_identifier": "me", "tool_choice": "auto"}
    assert server.post("/v1/responses", body).status == 200


def test_an_item_is_refused_by_its_place(server: Server) -> None:
    error = refused(server, input=[{"role": "user", "content": [{"type": "input_file"}]}])
    assert error["param"] == "input[0].content[0]"
    assert error["message"] == "input[0]: content[0]: file inputs are not currently supported"


@pytest.mark.parametrize("stream", [False, True])
def test_a_schema_that_cannot_be_enforced_is_refused(server: Server, stream: bool) -> None:
    schema = {"type": "array", "uniqueItems": True}
    text = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
    assert "uniqueItems" in refused(server, model="tiny", text=text, stream=stream)["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_is_not_truncated_unless_asked(client: openai.OpenAI, stream: bool) -> None:
    text, options = "word " * 200 + "<hello>", {"options": {"num_ctx": 64}}
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="agent", input=text, stream=stream, extra_body=options)
    assert caught.value.code == "context_length_exceeded"


def test_what_was_truncated_is_told(server: Server) -> None:
    items = [{"role": "user", "content": "word " * 20}] * 9 + [
        {"role": "user", "content": "<hello>"}
    ]
    body = {"model": "agent", "input": items, "truncation": "auto", "options": {"num_ctx": 64}}
    line = server.post("/v1/responses", body).json
    assert line["usage"]["input_tokens_details"]["dropped_tokens"] > 0
    assert line["usage"]["input_tokens"] < 64


def test_a_model_that_is_not_there_is_a_404(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="model 'nobody' not found"):
        client.responses.create(model="nobody", input="Hi")
    with pytest.raises(openai.BadRequestError, match="model is required"):
        client.responses.create(model="", input="Hi")


def test_a_failure_in_the_middle_is_the_last_event(server: Server) -> None:
    connection = server.connect()
    body = {"model": "tiny", "input": "Why?", "stream": True, "options": {"num_predict": 40000}}
    connection.request("POST", "/v1/responses", json.dumps(body))
    response = connection.getresponse()
    response.readline()
    os.kill(pid(server, "tiny:latest"), signal.SIGKILL)
    event, data = response.read().decode().removesuffix("\n\n").split("\n\n")[-1].split("\n")
    assert event == "event: response.failed"
    failed = json.loads(data.removeprefix("data: "))
    assert failed["sequence_number"] > 1
    assert (failed["response"]["status"], failed["response"]["store"]) == ("failed", False)
    assert failed["response"]["error"]["code"] == "server_error"
    assert "unexpectedly stopped" in failed["response"]["error"]["message"]


def names(tools: list[object], choice: object = None) -> list[str]:
    return [tool["function"]["name"] for tool in toolbox(tools, choice).tools]


def test_members_of_a_namespace_have_its_name_once() -> None:
    assert names([ADD, SPACE]) == ["add", "ns.add", "ns.sub"]
    deep = {"type": "namespace", "name": "far", "tools": [SPACE]}
    assert names([deep]) == ["far.ns.add", "far.ns.sub"]


def test_the_choice_of_tools_is_understood() -> None:
    strict = {**ADD, "name": "sub", "strict": True}
    assert toolbox([ADD, strict], None).strict == {"sub"}
    assert toolbox([ADD], {"type": "function", "name": "add"}).choice == Named("add")
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [ADD]}
    box = toolbox([ADD, strict], allowed)
    assert (names([ADD, strict], allowed), box.choice) == (["add"], "required")
    assert names([ADD, strict], "none") == ["add", "sub"]
    with pytest.raises(FieldError, match="'mul' not found"):
        toolbox([ADD], {"type": "allowed_tools", "mode": "auto", "tools": [{**ADD, "name": "mul"}]})
