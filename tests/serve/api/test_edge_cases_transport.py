"""Edge cases 17 to 24 and 135 to 140: bodies, verbs, hosts, origins and the environment."""

import pytest

from modelkit.address import Address
from modelkit.durations import FOREVER, seconds_setting
from modelkit.settings import flag, uint
from modelkit.store import Store
from tests.serve.api.edges import Edge, Step, chat, each, edge, generate
from tests.serve.api.harness import Answer, Server, running

CLOUD = "ollama cloud is disabled: remote model is unavailable"
FAST = {"num_predict": 2, "num_ctx": 128}


def is_streamed(answer: Answer) -> bool:
    return answer.headers["content-type"] == "application/x-ndjson" and len(answer.lines) > 1


def is_escaped(answer: Answer) -> bool:
    return rb"\u003cb\u003e\u0026" in answer.body


def allows_post(answer: Answer) -> bool:
    return answer.headers["allow"] == "POST" and answer.body == b"405 method not allowed"


def host(name: str, status: int) -> Step:
    return Step("GET /api/version", None, status, headers={"Host": name})


def origin(text: str, status: int, expected: dict[str, str]) -> Step:
    def has_headers(answer: Answer) -> bool:
        return expected.items() <= answer.headers.items()

    return Step("GET /", None, status, has_headers, headers={"Origin": text})


def is_preflight(answer: Answer) -> bool:
    return answer.headers["access-control-max-age"] == "43200"


EDGES = [
    edge(
        17,
        Step("POST /api/chat", b"", 400, "missing request body"),
        Step("POST /api/chat", b"null", 400, "model is required"),
        Step("POST /api/generate", b"{}", 404, "model '' not found"),
    ),
    edge(
        18,
        Step("POST /api/chat", b'{"model":"tiny"} garbage', 200, {"done_reason": "load"}),
        Step("POST /api/chat", b'{"MODEL":"tiny"}', 200, {"done_reason": "load"}),
    ),
    edge(
        19,
        Step("POST /api/chat", b"{", 400, "unexpected EOF"),
        Step("POST /api/chat", b"x", 400, "invalid character 'x' looking for beginning of value"),
    ),
    edge(20, Step("GET /api/show", None, 405, allows_post)),
    edge(21, Step("GET /nope", None, 404, "404 page not found")),
    edge(22, *(Step(f"HEAD {path}", expected="") for path in ("/", "/api/version", "/api/tags"))),
    edge(23, generate("tiny", "Why", 200, is_streamed, stream=None, options=FAST)),
    edge(
        24,
        generate("tiny", "<b>&", 200, is_escaped, raw=True, _debug_render_only=True),
        chat("tiny", "<b>&", 200, is_escaped, _debug_render_only=True),
    ),
    edge(
        137,
        host("evil.com", 403),
        *(host(name, 200) for name in ("foo.local", "LOCALHOST", "10.0.0.5", "0.0.0.0:11434")),
    ),
    edge(
        138,
        origin("http://evil.com", 403, {}),
        *(
            origin(text, 200, {"access-control-allow-origin": text, "vary": "Origin"})
            for text in ("http://localhost:3000", "vscode-webview://abc")
        ),
        Step(
            "OPTIONS /api/chat",
            None,
            204,
            is_preflight,
            headers={"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"},
        ),
    ),
    edge(
        140,
        Step("POST /api/experimental/web_search", b" ", 400, "missing request body"),
        Step("POST /api/experimental/web_fetch", b" ", 400, "missing request body"),
    ),
]

HOSTS = [
    ("1.2.3.4", "http://1.2.3.4:11434"),
    (":1234", "http://:1234"),
    (":0", "http://:0"),
    (":66000", "http://:11434"),
    (":-1", "http://:11434"),
    ("::1", "http://[::1]:11434"),
    ("[::1]:1337", "http://[::1]:1337"),
    ("\" '1.2.3.4' \"", "http://1.2.3.4:11434"),
    ("http://1.2.3.4", "http://1.2.3.4:80"),
    ("https://1.2.3.4", "https://1.2.3.4:443"),
    ("ollama.com", "https://ollama.com:443"),
    ("https://example.com/ollama", "https://example.com:443/ollama"),
]

NUMBERS = {row.number for row in EDGES} | {135, 136, 139}


@each(EDGES)
def test_a_request_is_answered_as_the_reference_does(shared: Server, row: Edge) -> None:
    row.play(shared)


@pytest.mark.parametrize(("text", "address"), HOSTS)
def test_135_a_host_is_completed(text: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", text)
    assert str(Address.default()) == address


@pytest.mark.parametrize(("text", "seconds"), [("60", 60.0), ("1d", 300.0), ("-1", FOREVER)])
def test_135_keep_alive_is_read(text: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_KEEP_ALIVE", text)
    assert seconds_setting("KEEP_ALIVE", 300.0) == seconds


def test_136_what_is_no_value_of_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_NOPRUNE", "random")
    monkeypatch.setenv("OLLAMA_MAX_QUEUE", "-1")
    assert flag("NOPRUNE") is True
    assert uint("MAX_QUEUE", 512) == 512


def test_137_any_host_is_served_when_bound_wider(store: Store) -> None:
    with running(store, loopback=False) as server:
        host("evil.com", 200).play(server)


def test_139_without_a_cloud_its_models_are_refused(
    shared: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_NO_CLOUD", "1")
    chat("x:cloud", "Hi", 403, CLOUD).play(shared)
    expected = {"cloud": {"disabled": True, "source": "env"}}
    Step("GET /api/status", expected=expected).play(shared)
    for what in ("search", "fetch"):
        text = f"ollama cloud is disabled: web {what} is unavailable"
        Step(f"POST /api/experimental/web_{what}", {"query": "x"}, 403, text).play(shared)
