"""Thoughts in OpenAI's form: `reasoning` beside the content, and how much of it is wanted."""

from typing import Any

import openai
import pytest

from tests.serve.api.harness import Server
from tests.serve.openai.test_chat import events

USER: Any = [{"role": "user", "content": "2 + 2?"}]
THOUGHT = ("Two and two.\n", "It is 4.")
QUIET = ("", "Four, I say.")


def post(server: Server, **body: Any) -> Any:
    return server.post("/v1/chat/completions", {"model": "thinker", "messages": USER} | body)


def said(server: Server, **body: Any) -> tuple[str, str]:
    answer = post(server, **body)
    assert answer.status == 200, answer.body
    message = answer.json["choices"][0]["message"]
    return message.get("reasoning", ""), message["content"]


@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high", "xhigh", "ultra", "max"])
def test_every_effort_thinks(client: openai.OpenAI, effort: Any) -> None:
    answer = client.chat.completions.create(model="thinker", messages=USER, reasoning_effort=effort)
    message = answer.choices[0].message
    assert (message.model_extra or {})["reasoning"] == THOUGHT[0]
    assert message.content == THOUGHT[1]


def test_who_says_what_wins(server: Server) -> None:
    assert said(server) == THOUGHT
    assert said(server, reasoning_effort="none") == QUIET
    assert said(server, reasoning={"effort": "none"}, reasoning_effort="high") == QUIET
    assert said(server, reasoning={"effort": ""}, reasoning_effort="none") == THOUGHT
    assert said(server, think=False, reasoning_effort="high") == QUIET


def test_a_stream_has_thoughts_first(server: Server) -> None:
    deltas = [chunk["choices"][0]["delta"] for chunk in events(post(server, stream=True))[:-1]]
    assert deltas == [
        {"role": "assistant", "content": "", "reasoning": "Two and"},
        {"content": "", "reasoning": " two."},
        {"content": "", "reasoning": "\n"},
        {"content": "It is"},
        {"content": " 4."},
        {},
    ]


def test_a_piece_of_both_is_two_chunks(server: Server) -> None:
    found = events(post(server, model="swift", stream=True, logprobs=True))[:-1]
    choices = [chunk["choices"][0] for chunk in found if chunk["choices"][0]["delta"]]
    at = next(i for i, choice in enumerate(choices) if "reasoning" in choice["delta"])
    first, second = choices[at : at + 2]
    assert first["delta"].pop("role", "assistant") == "assistant"
    assert first["delta"] == {"reasoning": "Hm."}
    assert second["delta"] == {"content": "Well"}
    assert ("logprobs" in first, "logprobs" in second) == (True, False)
    assert len({chunk["created"] for chunk in found}) == 1


def test_thoughts_may_come_back(server: Server) -> None:
    earlier = {"role": "assistant", "content": "Hm.", "reasoning": "First thoughts."}
    answer = post(server, messages=[*USER, earlier, *USER], _debug_render_only=True).json
    assert "<think>First thoughts.</think>Hm." in answer["_debug_info"]["rendered_template"]


def test_a_model_that_cannot_think_says_so(server: Server) -> None:
    assert post(server, model="plain", reasoning_effort="none", max_tokens=1).status == 200
    answer = post(server, model="plain", reasoning_effort="high")
    assert answer.status == 400
    assert answer.json["error"]["message"] == '"plain" does not support thinking'


def test_completions_leave_the_thoughts_out(server: Server) -> None:
    body = {"model": "thinker", "prompt": "2 + 2?"}
    assert server.post("/v1/completions", body).json["choices"][0]["text"] == THOUGHT[1]
    found = events(server.post("/v1/completions", body | {"stream": True, "think": False}))
    assert "".join(chunk["choices"][0]["text"] for chunk in found[:-1]) == QUIET[1]
