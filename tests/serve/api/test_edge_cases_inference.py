"""Edge cases 83 to 94 and 100 to 107: what is asked of models, and how long they stay."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from modelkit.model import Model
from modelkit.names import ModelName
from modelkit.serve.api.options import Options
from modelkit.serve.runner.window import Window
from modelkit.store import Store
from tests.registry.servers import Reply, WebServer
from tests.serve.api.edges import (
    Edge,
    Expected,
    Step,
    chat,
    create,
    each,
    edge,
    generate,
    share,
)
from tests.serve.api.harness import Answer, Server, derive, running

FAST = {"num_predict": 2, "num_ctx": 128}
INFILL = "{{ .Prompt }}<SUF>{{ .Suffix }}"
FULL = "registry.ollama.ai/library/tiny:latest does not support"
LEVELS = '(must be "high", "medium", "low", "max", true, or false)'
PICTURE = "data:image/png;base64,AAAA"
NOT_LOADED = Step("GET /api/ps", expected='{"models":[]}')
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def only(reason: str) -> Expected:
    def fits(answer: Answer) -> bool:
        [line] = answer.lines
        return (line["response"], line["done_reason"]) == ("", reason)

    return fits


def has_no_context(answer: Answer) -> bool:
    return answer.lines[-1]["done"] is True and "context" not in answer.lines[-1]


def ask(status: int = 200, expected: Expected = None, model: str = "tiny", **body: object) -> Step:
    return generate(model, "a", status, expected, **({"options": FAST} | body))


def option(name: str, value: object, status: int = 200, expected: Expected = None) -> Step:
    return ask(status, expected, options={**FAST, name: value}, raw=True)


def stays(keep_alive: object, year: str) -> tuple[Step, Step]:
    def until(answer: Answer) -> bool:
        return bool(answer.json["models"][0]["expires_at"] > year)

    return ask(keep_alive=keep_alive), Step("GET /api/ps", expected=until)


EDGES = [
    edge(
        84,
        *(generate("tiny", "", 200, only("unload"), keep_alive=value) for value in (0, "0", 0.0)),
        NOT_LOADED,
    ),
    edge(83, generate("tiny", "", 200, only("load"), stream=True)),
    edge(
        85,
        ask(400, "raw mode does not support template, system, or context", raw=True, system="s"),
        ask(200, has_no_context, "infill", raw=True, suffix="b"),
    ),
    edge(
        86,
        *(
            ask(400, "top_logprobs must be between 0 and 20", model, top_logprobs=number)
            for number in (21, -1)
            for model in ("tiny", "nope")
        ),
    ),
    edge(
        87,
        ask(400, '"tiny" does not support thinking', think=True),
        ask(think=False),
        ask(400, f'invalid think value: "ultra" {LEVELS}', think="ultra"),
    ),
    edge(88, chat("plain", "a", 400, f"{FULL} tools".replace("tiny", "plain"), tools=[TOOL])),
    edge(89, ask(400, f"{FULL} insert", suffix="x")),
    edge(
        90,
        chat("minilm", "a", 400, '"minilm" does not support chat'),
        ask(400, '"minilm" does not support generate', "minilm"),
    ),
    # A difference: wrong options are a 400.
    edge(
        91,
        option("num_ctx", "8", 400, 'option "num_ctx" must be of type integer'),
        option("stop", "x", 400, 'option "stop" must be of type array'),
        option("foo", 1),
        option("seed", None),
        option("top_k", 1.9),
    ),
    # A difference: so is a wrong format.
    edge(
        92,
        ask(400, re.compile("invalid format: .*; expected .*json"), format="xml"),
        ask(format=""),
        ask(format=None),
    ),
    edge(
        93,
        ask(400, 'time: missing unit in duration "10"', keep_alive="10"),
        ask(400, "Unsupported type: 'bool'", keep_alive=True),
        *stays("-1m", "2300"),
        *stays(-1, "2300"),
    ),
    edge(94, ask(400, re.compile("^.{10}illegal base64 data"), images=[PICTURE])),
]

NUMBERS = {row.number for row in EDGES} | {100, 101, 102, 107}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, models: Store) -> Iterator[Server]:
    store = Store(tmp_path_factory.mktemp("edges") / "models")
    share(models, "tiny", store)
    share(models, "minilm", store)
    derive(store, "plain", template="{{ .Prompt }}")
    derive(store, "infill", template=INFILL)
    with running(store) as server:
        yield server


@each(EDGES)
def test_a_question_is_taken_as_the_reference_takes_it(server: Server, row: Edge) -> None:
    row.play(server)


def test_91_a_fraction_is_cut_off(models: Store) -> None:
    tiny = Model.open(models, ModelName.parse("tiny"))
    assert Options.merge(tiny, {"top_k": 1.9}).sampling(8).top_k == 1


def test_100_a_long_prompt_keeps_its_head_and_tail(server: Server) -> None:
    window = Window.of(n_ctx=8, num_keep=3, prompt=10, add_bos=False, shifts=True)
    assert window.fit(range(10), truncate=True) == [0, 1, 2, 7, 8, 9]
    body = {"raw": True, "options": {"num_ctx": 8, "num_predict": 1}}
    long = "word " * 30
    words = re.compile("the prompt is longer than the context length")
    generate("tiny", long, 400, words, shift=False, **body).play(server)
    generate("tiny", long, 200, {"truncated": True}, **body).play(server)


def test_101_an_answer_has_at_most_ten_contexts() -> None:
    assert Options({"num_predict": -1}).sampling(2048).num_predict == 20480
    assert Options({"num_predict": 20481}).sampling(2048).num_predict == 20480


def test_102_a_failure_has_its_status_until_something_was_said(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_REMOTES", "127.0.0.1")
    busy = Reply(429, b'{"error":"too many"}', {"Content-Type": "application/json"})
    with WebServer(lambda _: busy) as web:
        create("far", base="x", remote_host=web.url).play(server)
        chat("far", "a", 429, "too many").play(server)
        generate("far", "a", 429, "too many").play(server)


def test_107_only_what_a_runner_was_loaded_with_starts_another(server: Server) -> None:
    def runner(**body: Any) -> int:
        ask(**body).play(server)
        return next(entry.runner.pid for entry in server.scheduler._roster)

    generate("tiny", "", keep_alive=0).play(server)
    first = runner(options={**FAST, "num_gpu": 0})
    assert runner(options={**FAST, "num_gpu": -1, "temperature": 0.1}) == first
    assert runner(options=FAST, shift=False) != first
