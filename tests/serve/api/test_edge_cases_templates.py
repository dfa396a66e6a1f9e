"""Edge cases 95 to 99 and 103 to 115: from messages to the text that a model continues."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from modelkit.store import Store
from modelkit.templates.images import with_image_tags
from modelkit.templates.messages import Message
from tests.modelkit.gguf_files import gguf_bytes
from tests.modelkit.models import LLAMA
from tests.serve.api.edges import (
    Edge,
    Expected,
    Step,
    chat,
    create,
    each,
    edge,
    generate,
    prompt,
    share,
    show,
)
from tests.serve.api.harness import Server, derive, running

TURNS = "{{ range .Messages }}{{ .Role }}:{{ .Content }};{{ end }}"
TOOLS = "{{ range .Messages }}{{ range .ToolCalls }}{{ .Function.Arguments }}{{ end }}{{ end }}"
JINJA = "{% for m in messages %}{{ m.tool_calls }}{{ m.role == 'tool' }}{% endfor %}{{ tools }}"
CALL = {"function": {"name": "f", "arguments": {"b": 1, "a": 2}}}
SMALL = {"num_ctx": 4}


def says(role: str, content: str, **rest: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **rest}


def rendered(model: str, text: str, *messages: dict[str, Any], **body: Any) -> Step:
    """What the model would be given for a conversation."""
    wide = {"options": {"num_ctx": 512}}
    asked = wide | {"messages": list(messages), "_debug_render_only": True} | body
    return chat(model, "", 200, prompt(text), **asked)


def given(model: str, text: str, question: str, **body: Any) -> Step:
    """What the model would be given for a prompt."""
    asked = {"options": {"num_ctx": 512}, "_debug_render_only": True} | body
    return generate(model, question, 200, prompt(text), **asked)


def refused(template: str, words: Expected) -> Step:
    return create("x", 400, words, base="turns", template=template)


FIRST, LAST = says("user", "a"), says("user", "b")
SYSTEM = says("system", "t")

EDGES = [
    edge(
        95,
        rendered("mario", "system:s;user:a;", FIRST),
        rendered("mario", "system:t;user:a;", SYSTEM, FIRST),
        rendered("mario", "system:s;user:a;system:t;", FIRST, SYSTEM),
    ),
    edge(96, rendered("turns", "user:a;", says("USER", "a"))),
    edge(
        97,
        rendered(
            "turns",
            "system:t;user:b;",
            says("user", "one two three four"),
            SYSTEM,
            says("assistant", "five six seven"),
            says("user", "eight nine"),
            LAST,
            options=SMALL,
        ),
    ),
    edge(103, given("turns", "user:a;", "a", stream=True)),
    edge(104, given("rendered", "[a]", "a", template="[{{ .Prompt }}]")),
    edge(
        105,
        given("stored", "user:q;assistant:r;user:a;", "a"),
        given("stored", "user:a;", "a", context=[1, 2]),
    ),
    edge(108, rendered("go", "s ab", says("system", "s"), FIRST, says("assistant", "b"))),
    edge(109, rendered("legacy", "U:a A:b", FIRST, says("assistant", "b"))),
    edge(
        110,
        rendered("turns", "user:a\n\nb;", FIRST, LAST),
        rendered("turns", "user:a;tool:c;tool:d;", FIRST, says("tool", "c"), says("tool", "d")),
    ),
    edge(
        111,
        given("turns", "<no value>", "a", template="{{ .Foo }}"),
        refused('{{template "x"}}', "template error: undefined template specified"),
    ),
    edge(
        112,
        given("turns", time.strftime("%Y-%m-%d"), "a", template='{{ currentDate "x" }}'),
        given(
            "turns",
            time.strftime("%Y-%m-%d", time.localtime(time.time() - 86400)),
            "a",
            template="{{ yesterdayDate }}",
        ),
    ),
    # A difference: arguments keep the caller's order.
    edge(
        113,
        rendered("tools", '{"b":1,"a":2}', FIRST, says("assistant", "", tool_calls=[CALL]), LAST),
    ),
]

NUMBERS = {row.number for row in EDGES} | {98, 99, 114, 115}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, models: Store) -> Iterator[Server]:
    store = Store(tmp_path_factory.mktemp("edges") / "models")
    share(models, "tiny", store)
    derive(store, "turns", template=TURNS)
    derive(store, "mario", template=TURNS, system="s")
    derive(store, "stored", template=TURNS, messages=(("user", "q"), ("assistant", "r")))
    derive(store, "rendered", template=TURNS, renderer="gemma4")
    derive(store, "go", template="{{ .System }} {{ .Prompt }}")
    derive(store, "legacy", template="U:{{ .Prompt }} A:{{ .Response }}.")
    derive(store, "tools", template=TOOLS)
    with running(store) as server:
        yield server


@each(EDGES)
def test_a_prompt_is_written_as_the_reference_writes_it(server: Server, row: Edge) -> None:
    row.play(server)


def test_98_images_are_numbered_in_place_or_in_front() -> None:
    in_place = with_image_tags([Message(role="user", content="a[img]b[img]", images=["x", "y"])])
    assert in_place[0].content == "a[img-0]b[img-1]"
    in_front = with_image_tags([Message(role="user", content="text", images=["x", "y"])])
    assert in_front[0].content == "[img-0][img-1]text"


def test_99_numbers_begin_anew_where_messages_were_dropped() -> None:
    turns = [Message(role="user", content=text, images=["x"]) for text in ("a", "b")]
    assert [message.content for message in with_image_tags(turns)] == ["[img-0]a", "[img-1]b"]
    assert [message.content for message in with_image_tags(turns[1:])] == ["[img-0]b"]


def test_114_the_template_that_can_call_tools_counts(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = gguf_bytes({**LLAMA, "tokenizer.chat_template": JINJA})
    digest = server.store.add_bytes(data)
    create("both", files={"m.gguf": str(digest)}, template="{{ .Prompt }}").play(server)
    tools = {"capabilities": ["tools", "completion"], "template": JINJA}
    show("both", expected=tools).play(server)
    monkeypatch.setenv("OLLAMA_GO_TEMPLATE", "1")
    plain = {"capabilities": ["completion"], "template": "{{ .Prompt }}"}
    show("both", expected=plain).play(server)


def test_115_no_template_is_guessed(server: Server) -> None:
    # A difference: the Jinja template that a model brought stays in charge.
    manifest = server.store.manifest(next(n for n in server.store.names() if n.model == "tiny"))
    assert not [layer for layer in manifest.layers if layer.media_type.endswith(".template")]
