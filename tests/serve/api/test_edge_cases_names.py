"""Edge cases 1 to 16: names, from the shortest to those that are none."""

from collections.abc import Iterator

import pytest

from modelkit.names import ModelName
from modelkit.store import Store
from tests.registry.servers import Reply, WebServer
from tests.serve.api.edges import Edge, Step, chat, create, delete, each, edge, share, show
from tests.serve.api.harness import Server, running

DEFAULT = "registry.ollama.ai/"
CLOUD = "ollama cloud is disabled: remote model is unavailable"

FORMS = [
    (1, "xx", f"{DEFAULT}library/xx:latest", "xx:latest"),
    (2, "ns/m", f"{DEFAULT}ns/m:latest", "ns/m:latest"),
    (3, "host:5000/ns/m:t", "host:5000/ns/m:t", "host:5000/ns/m:t"),
    (3, "host:5000/ns/m", "host:5000/ns/m:latest", "host:5000/ns/m:latest"),
    (
        4,
        "scheme://host:1/namespace/model:tag",
        "host:1/namespace/model:tag",
        "host:1/namespace/model:tag",
    ),
    (5, "m" * 80, f"{DEFAULT}library/{'m' * 80}:latest", f"{'m' * 80}:latest"),
    (5, f"{'h' * 350}/ns/m", f"{'h' * 350}/ns/m:latest", f"{'h' * 350}/ns/m:latest"),
    (7, "_why/_the/_lucky:_stiff", "_why/_the/_lucky:_stiff", "_why/_the/_lucky:_stiff"),
    (10, "REGISTRY.OLLAMA.AI/LIBRARY/M:T", "REGISTRY.OLLAMA.AI/LIBRARY/M:T", "M:T"),
    (15, "my-cloud-model", f"{DEFAULT}library/my-cloud-model:latest", "my-cloud-model:latest"),
    (16, "hf.co/a/b:Q4_K_M", "hf.co/a/b:Q4_K_M", "hf.co/a/b:Q4_K_M"),
]

NO_NAMES = [
    *((5, name) for name in ("m" * 81, f"{'h' * 351}/ns/m")),
    *((6, name) for name in ("mm:", "/nn/mm", "//", "//mm", "hh//", "^", "@t", "m@d")),
    *((7, name) for name in ("-hh/nn/mm:tt", "hh/-nn/mm:tt", "hh/nn/-mm:tt", "hh/nn/mm:-tt")),
    *((8, name) for name in ("host/name:space/model:tag", "a.b/m")),
    *((9, name) for name in ("a/b/c/d", "モデル")),
]

EDGES = [
    edge(9, chat(" tiny ", expected={"model": " tiny ", "done_reason": "load"})),
    edge(
        11,
        create("Foo", base="tiny", system="a"),
        create("foo", base="tiny", system="b"),
        show("FOO", expected={"system": "b"}),
        Step("GET /api/tags", expected=lambda answer: names(answer.json) == ["Foo", "tiny"]),
        delete("fOO"),
    ),
    edge(
        12,
        chat("gpt-oss:20b-cloud", "Hi", 403, CLOUD),
        delete("gpt-oss:20b-cloud", 404, "model 'gpt-oss:20b-cloud' not found"),
        show("gpt-oss:20b:cloud", 404, "model 'gpt-oss:20b-cloud' not found"),
    ),
    edge(13, delete("qwen3:cloud", 404, "model 'qwen3:cloud' not found")),
    edge(
        14,
        *(
            Step(
                request,
                {"model": "foo:cloud:local"},
                400,
                'use either :local or :cloud, not both: "foo:cloud:local"',
            )
            for request in (
                "POST /api/chat",
                "POST /api/generate",
                "POST /api/embed",
                "POST /api/embeddings",
                "POST /api/show",
                "POST /api/pull",
                "DELETE /api/delete",
            )
        ),
        create("x", 400, base="foo:cloud:local"),
    ),
    edge(15, chat("my-cloud-model", "Hi", 404, "model 'my-cloud-model' not found")),
]

NUMBERS = {row[0] for row in (*FORMS, *NO_NAMES)} | {row.number for row in EDGES}


def names(tags: dict[str, list[dict[str, str]]]) -> list[str]:
    return sorted(tag["name"].removesuffix(":latest") for tag in tags["models"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, models: Store) -> Iterator[Server]:
    store = Store(tmp_path_factory.mktemp("names") / "models")
    share(models, "tiny", store)
    with running(store) as server:
        yield server


@each(EDGES)
def test_a_name_is_taken_as_the_endpoint_takes_it(server: Server, row: Edge) -> None:
    row.play(server)


@pytest.mark.parametrize(("number", "text", "full", "short"), FORMS)
def test_a_name_has_a_long_and_a_short_form(
    server: Server, number: int, text: str, full: str, short: str
) -> None:
    assert ModelName.parse(text).full == full
    show(text, 404, f"model '{short}' not found").play(server)


@pytest.mark.parametrize(("number", "text"), NO_NAMES)
def test_what_is_no_name_is_refused(server: Server, number: int, text: str) -> None:
    show(text, 400, "invalid model name").play(server)
    chat(text, "Hi", 400, "invalid model name").play(server)


def test_the_parts_of_a_name_are_the_path_of_its_manifest(server: Server) -> None:
    with WebServer(lambda request: Reply(200 if request.path == "/v2/" else 404)) as web:
        body = {"model": f"{web.host}/a/b:Q4_K_M", "stream": False}
        Step("POST /api/pull", body, 500, "pull model manifest: file does not exist").play(server)
    assert web.requests[-1].path == "/v2/a/b/manifests/Q4_K_M"
