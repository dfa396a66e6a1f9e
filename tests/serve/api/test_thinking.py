"""Thinking over HTTP: thoughts apart from the content, in chat and generate, streamed or not."""

from collections.abc import Iterator
from typing import Any

import pytest

from modelkit.store import Store
from tests.serve.api.harness import Server, running
from tests.serve.scripted import add_script

TEMPLATE = """{{ range .Messages }}{{ if eq .Role "assistant" }}{{ if .Thinking }}<think>
{{ .Thinking }}
</think>

{{ end }}{{ end }}{{ .Role }}: {{ .Content }}
{{ end }}{{ if and .IsThinkSet (not .Think) }}<quiet>{{ else }}<loud>{{ end }}"""
JINJA = (
    "{% for message in messages %}{{ message.content }}{% endfor %}"
    "{{ '</think>' if enable_thinking is false else '<think>' }}"
)
LOUD = ["<think>", "\nTwo and", " two is four.", "\n</thi", "nk>", "\n\n", "It is", " 4."]
QUIET = ["Four", ", I say."]
USER = [{"role": "user", "content": "2 + 2?"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("scripts")
    store = Store(folder / "models")
    add_script(store, folder, "thinker", {"<loud>": LOUD, "<quiet>": QUIET}, TEMPLATE)
    script = {"<think>": ["\nHm", ".", "</think>", "\n\n", "Four."]}
    add_script(store, folder, "jinja", script, "", JINJA)
    with running(store) as server:
        yield server


def ask(server: Server, path: str = "/api/chat", **body: Any) -> list[Any]:
    request = {"model": "thinker", "messages": USER, "prompt": "2 + 2?"} | body
    answer = server.post(path, request)
    assert answer.status == 200, answer.body
    return answer.lines


def said(lines: list[Any]) -> tuple[str, str]:
    """Thoughts and content of all lines; no line has both."""
    messages = [line["message"] for line in lines]
    return (
        "".join(message.get("thinking", "") for message in messages),
        "".join(message["content"] for message in messages),
    )


def test_a_model_that_can_think_does_so_unless_told_not_to(server: Server) -> None:
    thought = ("Two and two is four.\n", "It is 4.")
    for think in (None, True, "high", "low"):
        assert said(ask(server, think=think, stream=False)) == thought
        assert said(ask(server, think=think)) == thought
    assert said(ask(server, think=False)) == ("", "Four, I say.")


def test_thoughts_come_first_and_as_they_are_thought(server: Server) -> None:
    messages = [line["message"] for line in ask(server)]
    assert messages == [
        {"role": "assistant", "content": "", "thinking": "Two and"},
        {"role": "assistant", "content": "", "thinking": " two is four."},
        {"role": "assistant", "content": "", "thinking": "\n"},
        {"role": "assistant", "content": "It is"},
        {"role": "assistant", "content": " 4."},
        {"role": "assistant", "content": ""},
    ]


def test_generate_tells_thoughts_apart_too(server: Server) -> None:
    lines = ask(server, "/api/generate")
    assert "".join(line.get("thinking", "") for line in lines) == "Two and two is four.\n"
    assert "".join(line["response"] for line in lines) == "It is 4."
    [whole] = ask(server, "/api/generate", stream=False)
    assert (whole["thinking"], whole["response"]) == ("Two and two is four.\n", "It is 4.")
    assert list(whole)[:5] == ["model", "created_at", "response", "thinking", "done"]


def test_the_thoughts_of_a_raw_prompt_are_told_apart(server: Server) -> None:
    [whole] = ask(server, "/api/generate", prompt="x<loud>", raw=True, stream=False)
    assert (whole["thinking"], whole["response"]) == ("Two and two is four.\n", "It is 4.")


def test_thinking_cut_short_is_still_thinking(server: Server) -> None:
    [whole] = ask(server, stream=False, options={"num_predict": 4})
    assert whole["done_reason"] == "length"
    assert said([whole]) == ("Two and two is four.\n</thi", "")


def test_a_prompt_may_open_the_thoughts_itself(server: Server) -> None:
    assert said(ask(server, model="jinja")) == ("Hm.", "Four.")
    assert said(ask(server, model="jinja", think=False))[0] == ""


def test_logprobs_cover_every_token_also_those_held_back(server: Server) -> None:
    lines = ask(server, logprobs=True)
    tokens = [entry["token"] for line in lines for entry in line.get("logprobs", [])]
    assert tokens == LOUD


def test_ollamas_client_reads_the_thoughts(server: Server) -> None:
    with server.client() as client:
        whole = client.chat("thinker", USER, think=True)
        assert whole.message.thinking == "Two and two is four.\n"
        parts = client.generate("thinker", "2 + 2?", think=True, stream=True)
        assert "".join(part.thinking or "" for part in parts) == whole.message.thinking


def test_earlier_thoughts_are_shown_to_the_template(server: Server) -> None:
    turns = [*USER, {"role": "assistant", "content": "4", "thinking": "hm"}, *USER]
    [line] = ask(server, messages=turns, _debug_render_only=True, stream=False)
    assert "<think>\nhm\n</think>\n\nassistant: 4" in line["_debug_info"]["rendered_template"]
