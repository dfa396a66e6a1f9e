"""What holds for every endpoint: routes, verbs, bodies, hosts and origins."""

import http.client
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkit.store import Store
from tests.serve.api.harness import Server, running


def test_the_root_says_that_it_is_running(shared: Server) -> None:
    answer = shared.request("GET", "/")
    assert (answer.status, answer.body) == (200, b"Ollama is running")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_the_version_names_the_compatible_release_and_ours(shared: Server) -> None:
    answer = shared.request("GET", "/api/version")
    assert set(answer.json) == {"version", "modelkit"}
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert not answer.body.endswith(b"\n")


def test_the_status_says_that_there_is_no_cloud(
    shared: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shared.request("GET", "/api/status").json == {
        "cloud": {"disabled": True, "source": "none"}
    }
    monkeypatch.setenv("OLLAMA_NO_CLOUD", "1")
    assert shared.request("GET", "/api/status").json["cloud"]["source"] == "env"


@pytest.mark.parametrize("path", ["/", "/api/version", "/api/tags"])
def test_head_is_answered_where_it_is_listed(shared: Server, path: str) -> None:
    answer = shared.request("HEAD", path)
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/api/show", "POST"),
        ("HEAD", "/api/ps", "GET"),
        ("HEAD", "/api/status", "GET"),
        ("POST", "/api/tags", "GET, HEAD"),
        ("GET", "/api/delete", "DELETE"),
        ("OPTIONS", "/api/chat", "POST"),
        ("PUT", "/api/blobs/sha256:0", "HEAD, POST"),
        ("BREW", "/api/chat", "POST"),
    ],
)
def test_a_wrong_verb_is_told_the_right_ones(
    shared: Server, method: str, path: str, allow: str
) -> None:
    answer = shared.request(method, path)
    assert answer.status == 405
    assert answer.headers["allow"] == allow
    if method != "HEAD":
        assert answer.body == b"405 method not allowed"
        assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/nope", "/api", "/api/nope/", "/api//tags"])
def test_an_unknown_path_is_not_found(shared: Server, path: str) -> None:
    answer = shared.request("GET", path)
    assert (answer.status, answer.body) == (404, b"404 page not found")


@pytest.mark.parametrize(
    ("method", "path", "status", "location"),
    [
        ("GET", "/api/tags/", 301, "/api/tags"),
        ("GET", "/api/tags/?a=%3Cb", 301, "/api/tags?a=%3Cb"),
        ("POST", "/api/chat/", 307, "/api/chat"),
    ],
)
def test_a_slash_too_many_is_redirected(
    shared: Server, method: str, path: str, status: int, location: str
) -> None:
    answer = shared.request(method, path)
    assert (answer.status, answer.headers["location"]) == (status, location)


BODY_ENDPOINTS = [
    ("POST", "/api/generate"),
    ("POST", "/api/chat"),
    ("POST", "/api/embed"),
    ("POST", "/api/embeddings"),
    ("POST", "/api/create"),
    ("POST", "/api/pull"),
    ("POST", "/api/push"),
    ("DELETE", "/api/delete"),
    ("POST", "/api/show"),
    ("POST", "/api/copy"),
]


@pytest.mark.parametrize(("method", "path"), BODY_ENDPOINTS)
def test_a_request_without_a_body_is_refused(shared: Server, method: str, path: str) -> None:
    answer = shared.request(method, path)
    assert (answer.status, answer.json) == (400, {"error": "missing request body"})


@pytest.mark.parametrize(("method", "path"), BODY_ENDPOINTS)
def test_broken_json_is_refused(shared: Server, method: str, path: str) -> None:
    answer = shared.request(method, path, b"{")
    assert (answer.status, answer.json) == (400, {"error": "unexpected EOF"})


NAME_ERRORS = [
    ("/api/generate", "", 404, "model '' not found"),
    ("/api/generate", "a b", 400, "invalid model name"),
    ("/api/generate", "x", 404, "model 'x' not found"),
    ("/api/chat", "", 400, "model is required"),
    ("/api/chat", "a b", 400, "invalid model name"),
    ("/api/chat", "x", 404, "model 'x' not found"),
    ("/api/embed", "", 404, "model '' not found"),
    ("/api/embed", "a b", 400, "invalid model name"),
    ("/api/embed", "x", 404, 'model "x" not found, try pulling it first'),
    ("/api/embeddings", "", 400, "model is required"),
    ("/api/embeddings", "a b", 400, "invalid model name"),
    ("/api/embeddings", "x", 404, 'model "x" not found, try pulling it first'),
    ("/api/show", "", 400, "model is required"),
    ("/api/show", "a b", 400, "invalid model name"),
    ("/api/show", "x", 404, "model 'x:latest' not found"),
    ("/api/pull", "", 400, "invalid model name"),
    ("/api/pull", "a b", 400, "invalid model name"),
    ("/api/push", "", 400, "model is required"),
    ("/api/create", "", 400, "invalid model name"),
    ("/api/create", "a b", 400, "invalid model name"),
]


@pytest.mark.parametrize(("path", "name", "status", "message"), NAME_ERRORS)
def test_a_bad_name_is_answered_as_the_endpoint_does(
    shared: Server, path: str, name: str, status: int, message: str
) -> None:
    answer = shared.post(path, {"model": name})
    assert (answer.status, answer.error) == (status, message)


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("", 400, "model is required"),
        ("a b", 400, 'name "a b" is invalid'),
        ("x", 404, "model 'x' not found"),
        ("qwen3:cloud", 404, "model 'qwen3:cloud' not found"),
    ],
)
def test_delete_has_names_of_its_own(shared: Server, name: str, status: int, message: str) -> None:
    answer = shared.request("DELETE", "/api/delete", {"name": name})
    assert (answer.status, answer.error) == (status, message)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"source": "", "destination": "y"}, 400, 'source "" is invalid'),
        ({"source": "a b", "destination": "y"}, 400, 'source "a b" is invalid'),
        ({"source": "x", "destination": ""}, 400, 'destination "" is invalid'),
        ({"source": "x", "destination": "y"}, 404, 'model "x" not found'),
        ({"source": "x", "destination": "x"}, 404, 'model "x" not found'),
    ],
)
def test_copy_names_the_side_that_is_wrong(
    shared: Server, body: dict[str, str], status: int, message: str
) -> None:
    answer = shared.post("/api/copy", body)
    assert (answer.status, answer.error) == (status, message)


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat", "/api/embed", "/api/pull"])
def test_two_source_suffixes_are_one_too_many(shared: Server, path: str) -> None:
    answer = shared.post(path, {"model": "foo:cloud:local"})
    assert answer.status == 400
    assert answer.error == 'use either :local or :cloud, not both: "foo:cloud:local"'


@pytest.mark.parametrize("name", ["x:cloud", "x:CLOUD", "gpt-oss:20b-cloud"])
def test_a_cloud_model_is_refused_because_there_is_no_cloud(shared: Server, name: str) -> None:
    answer = shared.post("/api/chat", {"model": name, "messages": []})
    assert answer.status == 403
    assert answer.error == "ollama cloud is disabled: remote model is unavailable"


@pytest.mark.parametrize("name", ["my-cloud-model", "foo:bar-cloud/baz"])
def test_a_name_that_only_sounds_like_cloud_is_local(shared: Server, name: str) -> None:
    assert shared.post("/api/chat", {"model": name}).status in (400, 404)


def test_a_digest_in_a_name_is_no_way_out_of_the_store(shared: Server) -> None:
    for name in ("../../etc/passwd", "..", "a/../b", "m@sha256:00", "/etc/passwd", "a\\b", "a\0b"):
        assert shared.post("/api/show", {"model": name}).status == 400


def test_several_requests_share_a_connection(shared: Server) -> None:
    connection = shared.connect()
    for path, status in (("/", 200), ("/nope", 404), ("/api/version", 200)):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status == status


def test_headers_beyond_reason_are_refused(shared: Server) -> None:
    answer = shared.request("GET", "/", headers={"X-Long": "x" * 100_000})
    assert answer.status == 431


def test_bytes_that_are_no_http_end_the_connection(shared: Server) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as raw:
        raw.sendall(b"\x16\x03\x01nonsense\r\n\r\n")
        assert raw.recv(100).startswith((b"HTTP/1.1 400", b""))
    assert shared.request("GET", "/").status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.com", 403),
        ("localhost:1", 200),
        ("foo.local", 200),
        ("LOCALHOST", 200),
        ("10.0.0.5", 200),
        ("0.0.0.0:11434", 200),
        ("[::1]", 200),
    ],
)
def test_a_foreign_host_is_refused_on_loopback(shared: Server, host: str, status: int) -> None:
    assert shared.request("GET", "/", headers={"Host": host}).status == status


def test_any_host_is_served_when_bound_wider(store: Store) -> None:
    with running(store, loopback=False) as server:
        assert server.request("GET", "/", headers={"Host": "evil.com"}).status == 200


def test_a_foreign_origin_is_refused(shared: Server) -> None:
    answer = shared.request("GET", "/", headers={"Origin": "http://evil.com"})
    assert (answer.status, answer.body) == (403, b"")


@pytest.mark.parametrize("origin", ["http://localhost:3000", "vscode-webview://abc"])
def test_a_local_origin_is_echoed(shared: Server, origin: str) -> None:
    answer = shared.request("GET", "/", headers={"Origin": origin})
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["vary"] == "Origin"


def test_the_servers_own_origin_needs_no_permission(shared: Server) -> None:
    answer = shared.request("GET", "/", headers={"Origin": shared.url})
    assert answer.status == 200
    assert "access-control-allow-origin" not in answer.headers


def test_a_preflight_lists_what_is_allowed(shared: Server) -> None:
    headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    answer = shared.request("OPTIONS", "/api/chat", headers=headers)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-methods"] == (
        "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"
    )
    assert "Authorization,Content-Type" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-max-age"] == "43200"


def test_an_error_is_marked_for_the_origin_too(shared: Server) -> None:
    headers = {"Origin": "http://localhost:3000"}
    answer = shared.request("POST", "/api/chat", b"{", headers)
    assert answer.status == 400
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"


def test_a_body_that_never_ends_its_json_is_refused(shared: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=30)
    try:
        connection.putrequest("POST", "/api/show")
        connection.putheader("Content-Length", str(1 << 40))
        connection.endheaders()
        assert connection.getresponse().status == 413
    finally:
        connection.close()


FIELDS = [
    "model",
    "name",
    "prompt",
    "suffix",
    "system",
    "template",
    "context",
    "stream",
    "raw",
    "format",
    "keep_alive",
    "images",
    "options",
    "think",
    "truncate",
    "shift",
    "logprobs",
    "top_logprobs",
    "messages",
    "tools",
    "input",
    "dimensions",
    "source",
    "destination",
    "files",
    "adapters",
    "license",
    "parameters",
    "quantize",
    "info",
    "verbose",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "seed", "stop", "top_k", "num_keep"]), inner
        )
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["generate", "chat", "embed", "show", "copy", "create"]),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4),
    st.booleans(),
)
def test_no_request_makes_the_server_fail(
    shared: Server, endpoint: str, body: dict[str, object], sane: bool
) -> None:
    if sane:
        body |= {"model": "tiny", "stream": False}
        body["options"] = {"num_predict": 2, "num_ctx": 128, "temperature": body.get("options")}
    answer = shared.post(f"/api/{endpoint}", body)
    assert answer.status < 500 or answer.status == 501, answer.body
    assert answer.status < 400 or set(answer.json) <= {"error", "hint"}
