"""POST /api/chat: conversations, their messages and what is left of them in a small context."""

import json
import shutil
from pathlib import Path
from typing import Any

import ollama
import pytest

from tests.serve.api.harness import Server, add_model

FAST = {"num_predict": 8, "temperature": 0.0, "num_ctx": 512}
USER = [{"role": "user", "content": "Hi"}]
HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n{}<|eot_id|>"


def chat(server: Server, messages: list[dict[str, Any]] | None = None, **body: Any) -> Any:
    body = {"model": "tiny", "stream": False, "options": FAST} | body
    answer = server.post("/api/chat", {"messages": messages or USER} | body)
    assert answer.status == 200, answer.body
    return answer.json


def rendered(server: Server, messages: list[dict[str, Any]], **body: Any) -> str:
    answer = chat(server, messages, _debug_render_only=True, **body)
    assert answer["message"] == {"role": "", "content": ""}
    return str(answer["_debug_info"]["rendered_template"])


def test_the_client_streams_a_conversation(client: ollama.Client) -> None:
    parts = list(client.chat("tiny", USER, stream=True, options=FAST))
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert all(part.message.role == "assistant" for part in parts)
    assert parts[-1].done_reason == "length"
    assert parts[-1].eval_count == 8
    whole = client.chat("tiny", USER, options=FAST)
    assert whole.message.content == "".join(part.message.content or "" for part in parts)


def test_the_last_line_has_its_numbers_in_order(shared: Server) -> None:
    body = {"model": "tiny", "messages": USER, "options": FAST}
    lines = shared.post("/api/chat", body).lines
    assert list(lines[0]) == ["model", "created_at", "message", "done"]
    assert list(lines[-1])[:11] == [
        "model",
        "created_at",
        "message",
        "done",
        "done_reason",
        "total_duration",
        "load_duration",
        "prompt_eval_count",
        "prompt_eval_duration",
        "eval_count",
        "eval_duration",
    ]
    assert lines[-1]["message"] == {"role": "assistant", "content": ""}


def test_no_messages_load_and_with_keep_alive_0_unload(shared: Server) -> None:
    for body, reason in (({"messages": []}, "load"), ({"keep_alive": 0}, "unload")):
        answer = shared.post("/api/chat", {"model": "tiny"} | body)
        assert len(answer.lines) == 1
        assert answer.json["message"] == {"role": "assistant", "content": ""}
        assert (answer.json["done"], answer.json["done_reason"]) == (True, reason)


def test_messages_are_rendered_by_the_ggufs_template(shared: Server) -> None:
    messages = [*USER, {"role": "assistant", "content": "Ho"}, {"role": "user", "content": "Ha"}]
    text = rendered(shared, messages)
    assert text.endswith(
        HEADER.format("user", "Hi")
        + HEADER.format("assistant", "Ho")
        + HEADER.format("user", "Ha")
        + "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_roles_are_folded_to_lower_case(shared: Server) -> None:
    assert rendered(shared, [{"role": "USER", "content": "Hi"}]) == rendered(shared, USER)


def test_the_models_system_text_yields_to_a_first_system_message(shared: Server) -> None:
    own = {"role": "system", "content": "You are Luigi."}
    assert "You are Mario." in rendered(shared, USER, model="persona")
    assert "You are Mario." not in rendered(shared, [own, *USER], model="persona")
    assert "You are Mario." in rendered(shared, [*USER, own], model="persona")


def test_the_stored_conversation_precedes_the_request(shared: Server) -> None:
    text = rendered(shared, USER, model="persona")
    stored = HEADER.format("user", "a") + HEADER.format("assistant", "b")
    assert stored + HEADER.format("user", "Hi") in text


def test_a_plain_template_strings_the_turns_together(shared: Server) -> None:
    messages = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"},
    ]
    assert rendered(shared, messages, model="plain") == "a\n\nbcd"
    assert rendered(shared, messages[:-1], model="plain") == "a\n\nbc"


def test_the_oldest_messages_are_dropped_and_system_stays(shared: Server) -> None:
    messages = [
        {"role": "user", "content": "first " * 30},
        {"role": "system", "content": "Keep me."},
        {"role": "user", "content": "third " * 30},
        {"role": "assistant", "content": "fourth " * 30},
        {"role": "user", "content": "fifth"},
    ]
    text = rendered(shared, messages, options=FAST | {"num_ctx": 64})
    assert "Keep me." in text
    assert "fifth" in text
    assert "first" not in text
    assert "third" not in text
    assert "fourth" not in text
    assert "first" in rendered(shared, messages, options=FAST | {"num_ctx": 64}, truncate=False)


def test_only_as_many_messages_are_dropped_as_needed(shared: Server) -> None:
    messages = [{"role": "user", "content": f"number {n} " + "x " * 20} for n in range(12)]
    text = rendered(shared, messages, options=FAST | {"num_ctx": 256})
    kept = [n for n in range(12) if f"number {n} " in text]
    assert kept == list(range(kept[0], 12))
    assert 2 <= len(kept) < 12
    whole = rendered(shared, messages[kept[0] - 1 :], options=FAST | {"num_ctx": 8192})
    assert (
        chat(shared, messages[kept[0] - 1 :], options=FAST | {"num_ctx": 8192})["prompt_eval_count"]
        > 256
    ), whole


def test_a_last_message_that_is_too_long_is_still_answered(shared: Server) -> None:
    messages = [{"role": "user", "content": "word " * 400}]
    answer = chat(shared, messages, options=FAST | {"num_ctx": 64})
    assert answer["done"]
    assert answer["prompt_eval_count"] < 64


def test_a_prompt_that_may_not_be_cut_is_refused(shared: Server) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "word " * 400}]}
    options = FAST | {"num_ctx": 64}
    for extra in ({"truncate": False}, {"shift": False}):
        answer = shared.post("/api/chat", body | {"options": options} | extra)
        assert answer.status == 400, answer.body
        assert answer.error.startswith("the prompt is longer than the context length")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"model": "minilm"}, 400, '"minilm" does not support chat'),
        (
            {"model": "plain", "tools": [{"type": "function"}]},
            400,
            "registry.ollama.ai/library/plain:latest does not support tools",
        ),
        ({"think": True}, 400, '"tiny" does not support thinking'),
        (
            {"messages": [{"role": "user", "content": "a", "images": ["AAAA"]}]},
            400,
            '"tiny" does not support images',
        ),
        (
            {"messages": [{"role": "user", "content": 5}]},
            400,
            "json: cannot unmarshal number into Go struct field "
            "ChatRequest.messages.content of type string",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(
    shared: Server, body: dict[str, Any], status: int, message: str
) -> None:
    answer = shared.post("/api/chat", {"model": "tiny", "messages": USER} | body)
    assert (answer.status, answer.error) == (status, message)


def test_logprobs_of_a_stream_add_up(shared: Server) -> None:
    body = {"model": "tiny", "messages": USER, "options": FAST, "logprobs": True}
    lines = shared.post("/api/chat", body).lines
    assert sum(len(line.get("logprobs", [])) for line in lines) == 8
    assert len(chat(shared, logprobs=True)["logprobs"]) == 8


@pytest.mark.parametrize(
    ("template", "status", "message"),
    [
        (
            "{{ raise_exception('roles must alternate') }}",
            400,
            "the model's chat template refused the messages: roles must alternate",
        ),
        ("{% for i in range(99999) %}{{ i * 'x' }}{% endfor %}", 400, None),
        ("{{ messages[0]['content'] }}", 200, None),
    ],
)
def test_a_template_that_fails_is_a_refusal(
    server: Server,
    tiny_llama: Path,
    tmp_path: Path,
    template: str,
    status: int,
    message: str | None,
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_llama, folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": template}))
    add_model(server.store, "strict", folder)
    body = {"model": "strict", "messages": USER, "stream": False, "options": FAST}
    answer = server.post("/api/chat", body)
    assert answer.status == status, answer.body
    assert message in (None, answer.json.get("error"))
