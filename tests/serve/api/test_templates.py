"""Models with a TEMPLATE: what the engine is given, over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelkit.names import ModelName
from modelkit.store import Store
from tests.modelkit.templates.families import text
from tests.serve.api.harness import Answer, Server, add_model, derive, running

INFILL = "{{ if .Suffix }}<PRE>{{ .Prompt }}<SUF>{{ .Suffix }}<MID>{{ else }}{{ .Prompt }}{{ end }}"
LEGACY = "{{ if .System }}S:{{ .System }} {{ end }}U:{{ .Prompt }} A:{{ .Response }}."
USER = {"role": "user", "content": "Hi"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Iterator[Server]:
    store = Store(tmp_path_factory.mktemp("store") / "models")
    add_model(store, "tiny", tiny_llama, parameters={"num_predict": 2, "seed": 1})
    derive(store, "chatml", template=text("chatml.gotmpl"))
    derive(store, "qwen", template=text("qwen2.5.gotmpl"))
    derive(store, "thinker", template=text("qwen3.gotmpl"))
    derive(store, "infill", template=INFILL)
    derive(store, "deepseek-r1", template=text("chatml.gotmpl"))
    derive(
        store, "legacy", template=LEGACY, system="s", messages=(("user", "a"), ("assistant", "b"))
    )
    derive(store, "broken", template="{{ .Prompt }}{{ slice .Prompt 99 }}")
    with running(store) as server:
        yield server


def ask(server: Server, path: str, body: dict[str, Any]) -> Answer:
    return server.post(path, {"stream": False, "_debug_render_only": True} | body)


def prompt(server: Server, model: str, text: str = "Hi", **body: Any) -> str:
    answer = ask(server, "/api/generate", {"model": model, "prompt": text} | body)
    assert answer.status == 200, answer.body
    return str(answer.json["_debug_info"]["rendered_template"])


def chat(server: Server, model: str, *messages: dict[str, Any], **body: Any) -> str:
    # A context that nobody asks for is the running model's, which another test may have made small.
    asked = {"model": model, "messages": list(messages), "options": {"num_ctx": 512}} | body
    answer = ask(server, "/api/chat", asked)
    assert answer.status == 200, answer.body
    return str(answer.json["_debug_info"]["rendered_template"])


def turn(role: str, content: str) -> str:
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


ANSWER = "<|im_start|>assistant\n"


def test_an_answer_is_generated_from_the_templates_text(server: Server) -> None:
    answer = server.post(
        "/api/chat",
        {"model": "chatml", "messages": [USER], "stream": False, "options": {"seed": 1}},
    )
    raw = server.post(
        "/api/generate",
        {
            "model": "tiny",
            "prompt": turn("user", "Hi") + ANSWER,
            "raw": True,
            "stream": False,
            "options": {"seed": 1},
        },
    )
    assert answer.json["message"]["content"] == raw.json["response"]
    assert answer.json["prompt_eval_count"] == raw.json["prompt_eval_count"]


def test_a_conversation_is_written_by_the_template(server: Server) -> None:
    said = {"role": "assistant", "content": "Ho"}
    assert chat(server, "chatml", USER, said, USER, USER) == (
        turn("user", "Hi") + turn("assistant", "Ho") + turn("user", "Hi\n\nHi") + ANSWER
    )
    assert (
        prompt(server, "chatml", system="Sir")
        == turn("system", "Sir") + turn("user", "Hi") + ANSWER
    )


def test_a_turn_at_a_time_goes_into_a_template_without_messages(server: Server) -> None:
    assert chat(server, "legacy", USER) == "S:s U:a A:b.U:Hi A:"
    said = {"role": "assistant", "content": "Ho"}
    assert chat(server, "legacy", USER, said) == "S:s U:a A:b.U:Hi A:Ho"


def test_the_requests_system_text_wins(server: Server) -> None:
    first, later = {"role": "system", "content": "t"}, {"role": "system", "content": "u"}
    assert prompt(server, "legacy", system="t") == "S:t U:a A:b.U:Hi A:"
    assert chat(server, "legacy", first, USER) == "U:a A:b.S:t U:Hi A:"
    assert chat(server, "legacy", USER, later) == "S:s U:a A:b.U:Hi A:.S:u U: A:"


def test_earlier_tokens_stand_for_the_stored_conversation(server: Server) -> None:
    assert prompt(server, "legacy", context=[1, 2]) == "S:s U:Hi A:"


def test_the_oldest_messages_are_dropped_and_system_stays(server: Server) -> None:
    messages = [
        {"role": "system", "content": "Keep."},
        *({"role": "user" if n % 2 else "assistant", "content": f"n{n} " * 30} for n in range(5)),
        USER,
    ]
    text = chat(server, "chatml", *messages, options={"num_ctx": 48})
    assert text == turn("system", "Keep.") + turn("user", "Hi") + ANSWER
    assert "n4 n4" in chat(server, "chatml", *messages, options={"num_ctx": 48}, truncate=False)


def test_a_request_may_bring_its_template(server: Server) -> None:
    assert prompt(server, "chatml", template="[{{ .Prompt }}]") == "[Hi]"
    assert prompt(server, "chatml", template="{{ range .Messages }}{{ .Role }}{{ end }}") == "user"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ .Prompt", "template: :1: unclosed action"),
        ("{{ Nope }}", 'template: :1: function "Nope" not defined'),
        ('{{ template "x" }}', "undefined template specified"),
    ],
)
def test_a_template_that_does_not_parse_is_refused(
    server: Server, template: str, message: str
) -> None:
    answer = ask(server, "/api/generate", {"model": "tiny", "prompt": "a", "template": template})
    assert answer.status == 400
    assert answer.error == message
    for stream in (True, False):
        body = {"model": "new", "from": "tiny", "template": template, "stream": stream}
        answer = server.post("/api/create", body)
        assert answer.error == f"template error: {message}"
        assert not server.store.exists(ModelName.parse("new"))
    assert answer.status == 400


def test_a_template_that_fails_is_told(server: Server) -> None:
    answer = ask(server, "/api/generate", {"model": "broken", "prompt": "a"})
    assert answer.status == 400
    assert answer.error.startswith("template: :1:")
    assert "out of range" in answer.error


def test_a_text_is_put_between_two(server: Server) -> None:
    assert prompt(server, "infill", "a", suffix="b") == "<PRE>a<SUF>b<MID>"
    assert prompt(server, "infill", "a") == "a"
    answer = ask(server, "/api/generate", {"model": "legacy", "prompt": "a", "suffix": "b"})
    assert answer.status == 400
    assert answer.error == "registry.ollama.ai/library/legacy:latest does not support insert"


def test_tool_calls_and_results_in_the_history_are_written(server: Server) -> None:
    call = {"function": {"name": "f", "arguments": {"b": 1, "a": 2}}}
    messages: list[dict[str, Any]] = [
        USER,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "31", "tool_name": "f"},
    ]
    assert chat(server, "qwen", *messages) == (
        turn("user", "Hi")
        + '<|im_start|>assistant\n<tool_call>\n{"name": "f", "arguments": {"b":1,"a":2}}\n'
        + "</tool_call><|im_end|>\n"
        + turn("user", "<tool_response>\n31\n</tool_response>")
        + ANSWER
    )


def test_a_model_that_can_think_does_unless_told_not_to(server: Server) -> None:
    assert chat(server, "thinker", USER).startswith(turn("user", "Hi /think"))
    silent = chat(server, "thinker", USER, think=False)
    assert silent == turn("user", "Hi /no_think") + ANSWER + "<think>\n\n</think>\n\n"


def test_a_reasoning_model_does_not_see_its_old_thoughts(server: Server) -> None:
    thought = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHo"}
    said, kept = turn("assistant", "Ho"), turn("assistant", str(thought["content"]))
    user = turn("user", "Hi")
    asked = chat(server, "deepseek-r1", USER, thought, USER, thought)
    assert asked == user + said + user + kept + ANSWER
    assert chat(server, "chatml", USER, thought, USER) == user + kept + user + ANSWER


def test_a_setting_puts_the_ggufs_template_in_charge(
    store: Store, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_model(store, "tiny", tiny_llama, parameters={"num_predict": 2})
    derive(store, "chatml", template=text("chatml.gotmpl"))
    monkeypatch.setenv("OLLAMA_GO_TEMPLATE", "0")
    with running(store) as server:
        assert "<|start_header_id|>user<|end_header_id|>" in chat(server, "chatml", USER)
