"""Edge cases 61 and 65 to 82: building models, showing, listing, copying and moving them."""

import re
from collections.abc import Iterator

import pytest

from modelkit.digest import Digest
from modelkit.store import Store
from tests.modelkit.gguf_files import gguf_bytes
from tests.modelkit.models import LLAMA, TENSORS
from tests.registry.servers import Reply, WebServer
from tests.serve.api.edges import Edge, Step, create, delete, each, edge, show
from tests.serve.api.harness import Answer, Server, running

CLIP = {"general.architecture": "clip", "clip.has_vision_encoder": True}
GEMMA = {"general.architecture": "gemma4", "gemma4.block_count": 1}
TURN = rb'{"stop":["\u003cturn|\u003e"]}' + b"\n"
NOTHING = "sha256:" + "0" * 64
COPILOT = {"User-Agent": "GitHubCopilotChat/1"}


WEIGHTS = {
    name: gguf_bytes(metadata, TENSORS)
    for name, metadata in (("llama", LLAMA), ("clip", CLIP), ("gemma", GEMMA))
}


def digest(name: str) -> str:
    return str(Digest.of(WEIGHTS[name]))


def starts(text: str) -> re.Pattern[str]:
    return re.compile(f'^{{"error":"{text}')


def info(answer: Answer) -> dict[str, object]:
    found: dict[str, object] = answer.json["model_info"]
    return found


def hides_arrays(answer: Answer) -> bool:
    found = info(answer)
    hidden = {"general.name", "tokenizer.chat_template"} & found.keys()
    return found["tokenizer.ggml.tokens"] is None and not hidden


def shows_arrays(answer: Answer) -> bool:
    return info(answer)["tokenizer.ggml.tokens"] == ["a", "b", "c"]


def is_named_plain(answer: Answer) -> bool:
    return info(answer)["general.basename"] == "plain"


def has_projector(answer: Answer) -> bool:
    return bool(answer.json["projector_info"]["general.architecture"] == "clip")


def newest_first(answer: Answer) -> bool:
    times = [item["modified_at"][:19] for item in answer.json["models"]]
    return times == sorted(times, reverse=True) and b"expires_at" not in answer.body


EDGES = [
    edge(61, create("x", 400, "invalid model name", base="./missing.gguf")),
    edge(
        65,
        create("x", 400, "neither 'from' or 'files' was specified"),
        create("x", 400, "unknown type", files={}),
    ),
    edge(
        66,
        create("x", 400, "file path must be relative", files={"../x.gguf": NOTHING}),
        create("x", 400, "invalid digest format", files={"x.gguf": ""}),
    ),
    edge(
        67,
        *(
            create("x", 400, starts("template error: "), base="plain", template=text)
            for text in ("{{ if .Prompt }}", "{{ .Prompt", "{{ Prompt }}")
        ),
    ),
    edge(
        68,
        create("licensed", base="plain", license=["MIT", "Apache-2.0"]),
        show("licensed", expected={"license": "MIT\nApache-2.0"}),
    ),
    edge(
        69,
        create("gemma", files={"g.gguf": digest("gemma")}),
        show(
            "gemma",
            expected={
                "renderer": "gemma4",
                "parser": "gemma4",
                "parameters": 'stop                           "<turn|>"',
            },
        ),
        Step(f"HEAD /api/blobs/{Digest.of(TURN)}"),
        create("stopped", base="gemma", parameters={"stop": ["x"]}),
        show("stopped", expected={"parameters": 'stop                           "x"'}),
    ),
    edge(
        70,
        create("seer", files={"mmproj.gguf": digest("clip"), "model.gguf": digest("llama")}),
        show("seer", expected=has_projector),
    ),
    edge(
        71,
        create("parent", base="plain", renderer="qwen3-coder", parser="qwen3"),
        create("child", base="parent", system="S"),
        show("child", expected={"renderer": "qwen3-coder", "parser": "qwen3"}),
    ),
    edge(
        72,
        *(
            create("x", 400, f'info field "context_length" must be {what}', base="plain", info=info)
            for what, info in (
                ("a non-negative integer", {"context_length": 1.5}),
                ("a non-negative integer", {"context_length": -1}),
                ("a number", {"context_length": "1"}),
            )
        ),
        create(
            "x", 400, 'info field "base_name" must be a string', base="plain", info={"base_name": 1}
        ),
    ),
    edge(
        73,
        create("far", base="x", remote_host="example.com"),
        show("far", expected={"remote_host": "http://example.com:11434", "remote_model": "x"}),
        create("far", base="x", remote_host="ollama.com"),
        show("far", expected={"remote_host": "https://ollama.com:443"}),
        create("far", base="x:cloud"),
        show("far", expected={"remote_host": "https://ollama.com:443", "remote_model": "x"}),
        create("x", 400, "bad remote", base="x", remote_host="http://["),
        create(
            "x",
            400,
            "DRAFT cannot be used with remote models",
            base="x",
            remote_host="example.com",
            draft_files={"d.gguf": NOTHING},
        ),
    ),
    edge(74, show("x", 404, "model 'x:latest' not found")),
    edge(
        75,
        create("tuned", base="plain", parameters={"seed": 42, "stop": ["foo"]}),
        show(
            "tuned",
            expected={
                "parameters": "seed                           42\n"
                'stop                           "foo"'
            },
        ),
    ),
    edge(76, show("plain", expected=hides_arrays), show("plain", 200, shows_arrays, verbose=True)),
    edge(77, Step("POST /api/show", {"model": "plain"}, 200, is_named_plain, headers=COPILOT)),
    edge(78, Step("GET /api/tags", expected=newest_first)),
    edge(
        79,
        Step("POST /api/copy", {"source": "x", "destination": "y"}, 404, 'model "x" not found'),
        Step("POST /api/copy", {"source": "", "destination": "y"}, 400, 'source "" is invalid'),
    ),
    edge(80, delete("a b", 400, 'name "a b" is invalid')),
]

NUMBERS = {row.number for row in EDGES} | {81, 82}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(Store(tmp_path_factory.mktemp("edges") / "models")) as server:
        for data in WEIGHTS.values():
            server.store.add_bytes(data)
        create("plain", files={"w.gguf": digest("llama")}).play(server)
        yield server


@each(EDGES)
def test_models_are_built_and_told_of_as_by_the_reference(server: Server, row: Edge) -> None:
    row.play(server)


def test_78_an_empty_store_lists_nothing(store: Store) -> None:
    with running(store) as server:
        Step("GET /api/tags", expected='{"models":[]}').play(server)


def test_81_a_model_that_no_registry_has(server: Server) -> None:
    error = "pull model manifest: file does not exist"
    with WebServer(lambda request: Reply(200 if request.path == "/v2/" else 404)) as web:
        body = {"model": f"{web.host}/lab/none"}
        lines = [{"status": "pulling manifest"}, {"error": error}]
        Step("POST /api/pull", body, 200, lines).play(server)
        Step("POST /api/pull", body | {"stream": False}, 500, error).play(server)


def test_82_a_model_that_the_store_has_not(server: Server) -> None:
    path = server.store.manifests / "127.0.0.1:1/lab/none/latest"
    lines = [
        {"status": "retrieving manifest"},
        {"status": "couldn't retrieve manifest"},
        {"error": f"open {path}: no such file or directory"},
    ]
    Step("POST /api/push", {"model": "127.0.0.1:1/lab/none"}, 200, lines).play(server)
