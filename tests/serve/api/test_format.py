"""Structured output over HTTP: every answer has the form, also after thoughts; or is refused."""

import json
from collections.abc import Iterator
from typing import Any, Literal

import ollama
import pytest
from pydantic import BaseModel

from modelkit.store import Store
from tests.serve.api.harness import Server, running
from tests.serve.scripted import add_script

THINKS = """{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}
{{- .Content }}{{ end }}{{ if and .IsThinkSet (not .Think) }}<quiet>{{ else }}<loud>{{ end }}"""
LOUD = ["<think>", "\nHm", ".", "</think>", "\n\n", '{"sum":', " 4", "}", " That is all."]
QUIET = ["So: ", '{"sum"', ": 5}"]
HARMONY = [
    *("<|channel|>analysis<|message|>", "Hm.", "<|end|><|start|>assistant<|channel|>final"),
    *("<|message|>", '{"sum": 4', "}", "<|end|>"),
]
USER = [{"role": "user", "content": "2 + 2?"}]


class Answer(BaseModel, extra="forbid"):
    """What the tests ask for: models of no sense get to its end, as there are few ways."""

    mood: Literal["good", "bad"]
    right: bool


SCHEMA = Answer.model_json_schema()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("scripts")
    store = Store(folder / "models")
    add_script(store, folder, "plain", {"<ask>": ["{", '"a": 1', "}", " Voilà."]}, "{{ .Prompt }}")
    add_script(store, folder, "thinker", {"<loud>": LOUD, "<quiet>": QUIET}, THINKS)
    add_script(store, folder, "hasty", {"<loud>": ["Sure, ", "here it comes."]}, THINKS)
    add_script(store, folder, "mute", {"<loud>": ["<think>", "Hm.", "</think>"]}, THINKS)
    harmony = "{{ .Prompt }}<|start|>assistant<ask>"
    add_script(store, folder, "channels", {"<ask>": HARMONY}, harmony, parser="harmony")
    with running(store) as server:
        yield server


def ask(server: Server, path: str = "/api/chat", **body: Any) -> list[Any]:
    request = {"model": "plain", "messages": USER, "prompt": "2 + 2?"} | body
    answer = server.post(path, request)
    assert answer.status == 200, answer.body
    return answer.lines


def content(lines: list[Any]) -> str:
    return "".join(line["message"]["content"] for line in lines)


def thinking(lines: list[Any]) -> str:
    return "".join(line["message"].get("thinking", "") for line in lines)


@pytest.mark.parametrize("stream", [True, False])
def test_json_ends_with_the_object(server: Server, stream: bool) -> None:
    lines = ask(server, format="json", stream=stream)
    assert content(lines) == '{"a": 1}'
    assert lines[-1]["done_reason"] == "stop"
    lines = ask(server, "/api/generate", format="json", stream=stream)
    assert "".join(line["response"] for line in lines) == '{"a": 1}'
    assert content(ask(server)) == '{"a": 1} Voilà.'


@pytest.mark.parametrize("model", ["plain", "thinker", "hasty", "mute", "channels"])
def test_a_schema_holds_whatever_the_model_would_say(server: Server, model: str) -> None:
    for think in (None, False):
        lines = ask(server, model=model, format=SCHEMA, think=think)
        Answer.model_validate_json(content(lines))
        assert lines[-1]["done_reason"] == "stop"


def test_thoughts_are_free_and_the_answer_after_them_is_not(server: Server) -> None:
    for stream in (True, False):
        lines = ask(server, model="thinker", format="json", stream=stream)
        assert (thinking(lines), content(lines)) == ("Hm.", '{"sum": 4}')
        assert sum(line["done"] for line in lines) == 1
    messages = [line["message"] for line in ask(server, model="thinker", format="json")]
    places = [index for index, message in enumerate(messages) if message.get("thinking")]
    assert places == list(range(len(places)))


def test_channels_are_told_apart_with_and_without_a_form(server: Server) -> None:
    for form in (None, "json"):
        lines = ask(server, model="channels", format=form)
        assert (thinking(lines), content(lines)) == ("Hm.", '{"sum": 4}')


def test_the_last_line_counts_the_run_that_answered(server: Server) -> None:
    free = ask(server, model="thinker")[-1]
    held = ask(server, model="thinker", format="json")[-1]
    assert held["prompt_eval_count"] > free["prompt_eval_count"]
    assert 3 <= held["eval_count"] <= 4


def test_a_model_that_does_not_think_first_is_held_to_the_form_all_the_same(
    server: Server,
) -> None:
    lines = ask(server, model="hasty", format=SCHEMA)
    assert thinking(lines) == ""
    Answer.model_validate_json(content(lines))


def test_without_thinking_the_form_holds_from_the_start(server: Server) -> None:
    lines = ask(server, model="thinker", format=SCHEMA, think=False)
    assert thinking(lines) == ""
    Answer.model_validate_json(content(lines))


def test_thoughts_without_an_end_leave_no_answer(server: Server) -> None:
    lines = ask(server, model="thinker", format="json", options={"num_predict": 2})
    assert (thinking(lines), content(lines)) == ("Hm", "")
    assert lines[-1]["done_reason"] == "length"


def test_generate_thinks_before_the_form_too(server: Server) -> None:
    [whole] = ask(server, "/api/generate", model="thinker", format="json", stream=False)
    assert (whole["thinking"], whole["response"]) == ("Hm.", '{"sum": 4}')


@pytest.mark.parametrize("model", ["plain", "thinker"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_a_schema_that_cannot_be_enforced_is_refused_before_anything_is_said(
    server: Server, model: str, stream: bool, path: str
) -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}}
    body = {"model": model, "messages": USER, "prompt": "a", "format": schema, "stream": stream}
    answer = server.post(path, body)
    assert answer.status == 400, answer.body
    assert "$ref" in answer.error


def test_logprobs_are_those_of_the_thoughts_and_the_answer(server: Server) -> None:
    lines = ask(server, model="thinker", format="json", logprobs=True)
    tokens = [entry["token"] for line in lines for entry in line.get("logprobs", [])]
    assert tokens == LOUD[:-1]


def test_pydantic_reads_what_ollamas_client_gets(server: Server) -> None:
    with server.client() as client:
        whole = client.chat("plain", USER, format=SCHEMA)
        assert Answer.model_validate_json(whole.message.content or "")
        parts = client.generate("plain", "2 + 2?", format=SCHEMA, stream=True)
        assert Answer.model_validate_json("".join(part.response for part in parts))
        with pytest.raises(ollama.ResponseError, match="#/enum"):
            client.chat("plain", USER, format={"enum": []})


def test_a_model_of_random_weights_writes_json_at_any_temperature(shared: Server) -> None:
    for seed in range(5):
        body = {
            "model": "tiny",
            "messages": USER,
            "format": SCHEMA,
            "stream": False,
            "options": {"temperature": 1.5, "seed": seed, "num_ctx": 512},
        }
        answer = shared.post("/api/chat", body)
        assert answer.status == 200, answer.body
        assert Answer.model_validate(json.loads(answer.json["message"]["content"]))


def test_an_answer_that_ends_for_its_repetitions_is_not_called_whole(server: Server) -> None:
    schema = {"type": "string", "pattern": "^[ab]{60}$"}
    lines = ask(server, format=schema)
    assert content(lines) == '"' + 32 * "a"
    assert lines[-1]["done_reason"] == "length"
