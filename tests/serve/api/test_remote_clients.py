"""Clients of OpenAI and Anthropic that ask models on other servers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from modelkit.store import Store
from tests.registry.servers import Reply, WebServer
from tests.serve.api.edges import create
from tests.serve.api.harness import Answer, Server, running

USER: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
FAST: dict[str, Any] = {"temperature": 0.0, "options": {"num_ctx": 512}}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": USER, "max_tokens": 8, **FAST},
    "/v1/completions": {"prompt": "Hi", "max_tokens": 8, **FAST},
    "/v1/responses": {"input": "Hi", "max_output_tokens": 8, **FAST},
    "/v1/messages": {"messages": USER, "max_tokens": 8, "temperature": 0.0},
}


def text_of(answer: Answer) -> object:
    """What a whole answer says, whichever API's it is."""
    assert answer.status == 200, answer.body
    found = answer.json
    if "choices" in found:
        return [choice.get("message", choice.get("text")) for choice in found["choices"]]
    return (found.get("content") or found["output"])[0].get("text", found.get("output_text"))


def events(answer: Answer) -> list[Any]:
    assert answer.status == 200, answer.body
    lines = answer.body.decode().splitlines()
    datas = [line.removeprefix("data: ") for line in lines if line.startswith("data: {")]
    return [json.loads(data) for data in datas]


@pytest.mark.parametrize("path", BODIES)
def test_a_stub_answers_what_its_model_answers(near: Server, upstream: Server, path: str) -> None:
    there = upstream.post(path, BODIES[path] | {"model": "tiny"})
    here = near.post(path, BODIES[path] | {"model": "far"})
    assert text_of(here) == text_of(there)
    assert here.json["model"] == "far"
    counted = [{**answer.json["usage"]} for answer in (here, there)]
    output = "completion_tokens" if "choices" in here.json else "output_tokens"
    assert counted[0][output] == counted[1][output] == 8


@pytest.mark.parametrize("path", BODIES)
def test_a_stubs_stream_has_the_same_events(near: Server, upstream: Server, path: str) -> None:
    body = BODIES[path] | {"stream": True}
    there = [list(event) for event in events(upstream.post(path, body | {"model": "tiny"}))]
    assert [list(event) for event in events(near.post(path, body | {"model": "far"}))] == there


def test_a_stubs_texts_and_options_go_along(near: Server, upstream: Server) -> None:
    question = {"messages": USER, "temperature": 0.0}
    said = near.post("/v1/chat/completions", {"model": "mario"} | question)
    assert said.json["usage"]["completion_tokens"] == 3
    history = [
        {"role": "system", "content": "You are Mario."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        *USER,
    ]
    body = {"model": "go", "messages": history, "temperature": 0.0, "max_tokens": 3}
    there = upstream.post("/v1/chat/completions", body | {"options": {"num_ctx": 512}})
    assert said.json["choices"] == there.json["choices"]


def test_several_answers_have_seeds_of_their_own(near: Server) -> None:
    body = BODIES["/v1/chat/completions"] | {"temperature": 1.5, "seed": 5, "n": 2}
    first, second = near.post("/v1/chat/completions", body | {"model": "far"}).json["choices"]
    assert first["message"] != second["message"]


def test_a_form_is_asked_for_there(near: Server) -> None:
    schema = {"type": "object", "properties": {"n": {"const": 4}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = BODIES["/v1/chat/completions"] | {"max_tokens": 40, "response_format": form}
    answer = near.post("/v1/chat/completions", body | {"model": "far"})
    assert json.loads(answer.json["choices"][0]["message"]["content"])["n"] == 4


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/chat/completions", {"messages": USER, "_debug_render_only": True}, 501),
        ("/v1/responses/input_tokens", {"input": "Hi"}, 501),
        ("/v1/messages/count_tokens", {"messages": USER}, 501),
        ("/v1/embeddings", {"input": "Hi"}, 501),
        ("/v1/completions", {"prompt": [1, 2]}, 400),
        ("/v1/chat/completions", {"messages": USER, "reasoning_effort": "high"}, 400),
    ],
)
def test_what_cannot_be_known_from_there_is_refused(
    near: Server, path: str, body: dict[str, Any], status: int
) -> None:
    assert near.post(path, body | {"model": "far"}).status == status


CALL = {"function": {"name": "add", "arguments": {"a": 1}}}
RECORDS: list[dict[str, Any]] = [
    {"message": {"role": "assistant", "content": "", "thinking": "Hm."}, "done": False},
    {"message": {"role": "assistant", "content": "Well.", "tool_calls": [CALL]}, "done": False},
    {"message": {"role": "assistant", "content": "", "tool_calls": [CALL]}, "done": False},
    {
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 7,
        "eval_count": 5,
    },
]


@pytest.fixture
def replies() -> list[dict[str, Any]]:
    """What the other server answers, a record a line."""
    return list(RECORDS)


@pytest.fixture
def web(replies: list[dict[str, Any]]) -> Iterator[WebServer]:
    """Another server that is no modelkit."""

    def respond(_: object) -> Reply:
        lines = b"".join(json.dumps(record).encode() + b"\n" for record in replies)
        return Reply(body=lines, headers={"Content-Type": "application/x-ndjson"})

    with WebServer(respond) as web:
        yield web


@pytest.fixture
def stubs(store: Store, web: WebServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("MODELKIT_REMOTES", "127.0.0.1")
    with running(store) as server:
        create("m", base="x", remote_host=web.url).play(server)
        yield server


def test_thoughts_and_calls_of_elsewhere_are_the_clients(stubs: Server, web: WebServer) -> None:
    body = {"model": "m", "messages": USER, "tools": [TOOL], "tool_choice": "required"}
    [choice] = stubs.post("/v1/chat/completions", body).json["choices"]
    message = choice["message"]
    assert (message["reasoning"], message["content"]) == ("Hm.", "Well.")
    first, second = message["tool_calls"]
    assert first["function"] == {"name": "add", "arguments": '{"a":1}'}
    assert ([first["index"], second["index"]], choice["finish_reason"]) == ([0, 1], "tool_calls")
    assert first["id"].startswith("call_")
    assert first["id"] != second["id"]
    asked = json.loads(web.requests[-1].body)
    assert (asked["model"], asked["tool_choice"], asked["stream"]) == ("x", "required", True)
    assert asked["tools"][0]["function"]["name"] == "add"


def test_blocks_of_elsewhere_are_anthropics(stubs: Server, web: WebServer) -> None:
    body = {"model": "m", "messages": USER, "max_tokens": 9, "thinking": {"type": "enabled"}}
    answer = stubs.post("/v1/messages", body).json
    kinds = [block["type"] for block in answer["content"]]
    assert kinds == ["thinking", "text", "tool_use", "tool_use"]
    assert (answer["stop_reason"], answer["usage"]["input_tokens"]) == ("tool_use", 7)
    # The stub does not say that its model can think.
    assert "think" not in json.loads(web.requests[-1].body)


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ([{"error": "out of luck"}], "out of luck"),
        ([], "the other server broke off its answer"),
        ([{"done": "perhaps"}], "the other server's answer is not that of a model"),
    ],
)
def test_a_failure_there_is_an_error_here(
    stubs: Server, replies: list[dict[str, Any]], last: list[dict[str, Any]], message: str
) -> None:
    replies[1:] = last
    body = {"model": "m", "messages": USER}
    answer = stubs.post("/v1/chat/completions", body)
    assert (answer.status, answer.error) == (502, message)
    streamed = events(stubs.post("/v1/chat/completions", body | {"stream": True}))
    assert streamed[-1]["error"]["message"] == message
