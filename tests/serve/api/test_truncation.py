"""Prompts that do not fit: what was left out of them is said at the end of the answer."""

from typing import Any

import pytest

from tests.serve.api.harness import Server

SMALL: dict[str, Any] = {"num_predict": 2, "temperature": 0.0, "num_ctx": 64}
WIDE: dict[str, Any] = SMALL | {"num_ctx": 2048}
TURNS = [{"role": "user", "content": f"number {n} " + "word " * 12} for n in range(8)]
LONG = [{"role": "user", "content": "word " * 300}]


def last(server: Server, path: str, **body: Any) -> Any:
    answer = server.post(path, {"model": "tiny", "options": SMALL} | body)
    assert answer.status == 200, answer.body
    return answer.lines[-1]


def submitted(server: Server, path: str, **body: Any) -> int:
    whole = last(server, path, options=WIDE, **body)
    assert "truncated" not in whole
    assert "prompt_submitted_count" not in whole
    return int(whole["prompt_eval_count"])


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("messages", [TURNS, LONG], ids=["messages dropped", "one cut"])
def test_a_chat_says_what_was_dropped(
    shared: Server, messages: list[dict[str, str]], stream: bool
) -> None:
    line = last(shared, "/api/chat", messages=messages, stream=stream)
    assert line["truncated"] is True
    assert line["prompt_submitted_count"] == submitted(shared, "/api/chat", messages=messages)
    assert line["prompt_eval_count"] < 64


@pytest.mark.parametrize("raw", [True, False])
def test_generate_says_what_was_dropped(shared: Server, raw: bool) -> None:
    body = {"prompt": "word " * 300, "raw": raw}
    line = last(shared, "/api/generate", **body)
    assert line["truncated"] is True
    assert line["prompt_submitted_count"] == submitted(shared, "/api/generate", **body)
    assert line["prompt_eval_count"] < 64


def test_earlier_tokens_count_as_submitted(shared: Server) -> None:
    context = last(shared, "/api/generate", prompt="word " * 60, options=WIDE)["context"]
    line = last(shared, "/api/generate", prompt="And", context=context)
    assert line["prompt_submitted_count"] > len(context) > line["prompt_eval_count"]


def test_a_prompt_that_is_cut_before_an_endless_repetition_says_so(shared: Server) -> None:
    # Greedy and without penalties, a model of random weights soon says one token for ever.
    endless = SMALL | {"num_predict": 400, "repeat_last_n": 0}
    line = last(shared, "/api/generate", prompt="word " * 300, raw=True, options=endless)
    assert line["done_reason"] == "stop"
    assert line["truncated"] is True
    assert line["prompt_eval_count"] < 64
    assert line["prompt_submitted_count"] > 300


def test_what_was_read_before_is_counted(shared: Server) -> None:
    body = {"prompt": "Once upon a midnight dreary, while I pondered, weak and weary", "raw": True}
    first = last(shared, "/api/generate", options=WIDE, **body)
    again = last(shared, "/api/generate", options=WIDE, **body)
    assert again["prompt_eval_count"] == first["prompt_eval_count"]
    assert again["prompt_cached_count"] >= first["prompt_eval_count"] - 1
    assert first.get("prompt_cached_count", 0) < again["prompt_cached_count"]
