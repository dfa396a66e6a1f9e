"""Request ids, and what the log says of a request: enough to find it, nothing of what was asked."""

import json
import logging
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from modelkit.errors import UsageError
from modelkit.serve import logs
from modelkit.serve.exchange import Exchange, begin
from modelkit.serve.keys import KeyFile
from modelkit.store import Store
from tests.serve.api.harness import Server
from tests.serve.api.test_server import first_line, port_of, start

SECRET = "the-secret-of-the-prompt"


@pytest.fixture
def _settings_of_logging() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("modelkit")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


@pytest.mark.parametrize("given", ["abc", "0195f3c2-7b1e", "a" * 128, "Root=1-67891233-abcdef:1/2"])
def test_a_clients_id_comes_back(open_server: Server, given: str) -> None:
    answer = open_server.request("GET", "/", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "a" * 129, "<script>", 'a"', "a\xff", "a;b"])
def test_an_id_that_could_do_harm_is_replaced(open_server: Server, given: str) -> None:
    answer = open_server.request("GET", "/", headers={"X-Request-Id": given})
    assert re.fullmatch("[0-9a-f]{24}", answer.headers["x-request-id"])


def test_every_answer_has_an_id_of_its_own(open_server: Server) -> None:
    foreign = {"Origin": "http://evil.com"}
    answers = [
        open_server.request("GET", "/api/version"),
        open_server.request("GET", "/nope"),
        open_server.request("GET", "/", headers=foreign),
        open_server.request("GET", "/", headers={"Host": "evil.com"}),
        open_server.post("/api/chat", {"model": "none"}),
    ]
    assert [answer.status for answer in answers] == [200, 404, 403, 403, 404]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 5


def lines_of(store: Store, form: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a server with the most details on says while it is asked things with a secret."""
    monkeypatch.setenv("MODELKIT_LOG_FORMAT", form)
    monkeypatch.setenv("MODELKIT_DEBUG", "1")
    monkeypatch.setenv("MODELKIT_REQUIRE_KEYS", "1")
    key = KeyFile.of(store).create("ci", ("infer",))
    process = start(store)
    port = port_of(first_line(process))
    chat = {"model": "none", "messages": [{"role": "user", "content": SECRET}]}
    headers = {"Authorization": f"Bearer {key}", "X-Request-Id": "one"}
    requests: list[tuple[str, str, object]] = [
        ("POST", "/api/chat", chat),
        ("POST", "/api/chat", {**chat, "messages": SECRET}),
        ("POST", "/api/chat", {**chat, "format": {"type": SECRET}}),
        ("POST", "/v1/chat/completions", {**chat, SECRET: 1}),
        ("POST", "/v1/messages", {**chat, "max_tokens": 3}),
        ("GET", f"/?q={SECRET}", {}),
        ("GET", "/nope%0aINFO%20forged", {}),
        ("GET", "/api/tags", {}),
    ]
    for method, path, body in requests:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(method, path, json.dumps(body), headers)
        connection.getresponse().read()
        connection.close()
    process.terminate()
    _, text = process.communicate(timeout=60)
    assert SECRET not in text
    assert key not in text
    lines = text.splitlines()
    assert len(lines) >= len(requests)
    return lines


def test_a_request_is_one_line_of_text(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = lines_of(store, "text", monkeypatch)
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    fields = r"method=POST path=/api/chat status=404 ms=[\d.]+ client=127\.0\.0\.1 key=ci"
    assert re.fullmatch(rf"{time} INFO request {fields} request_id=one", lines[0])
    assert " path=/nope%0aINFO%20forged status=404 " in lines[-2]
    assert " status=403 " in lines[-1]


def test_a_request_is_one_json_object(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[dict[str, Any]] = [
        json.loads(line) for line in lines_of(store, "json", monkeypatch)
    ]
    first = found[0]
    assert first.pop("time").endswith("Z")
    assert first.pop("ms") > 0
    assert first == {
        "level": "info",
        "logger": "modelkit.access",
        "message": "request",
        "method": "POST",
        "path": "/api/chat",
        "status": 404,
        "client": "127.0.0.1",
        "key": "ci",
        "request_id": "one",
    }


@pytest.mark.usefixtures("_settings_of_logging")
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_failure_is_logged_with_the_request_it_belongs_to(
    form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELKIT_LOG_FORMAT", form)
    logs.configure()
    begin(Exchange("seven"))
    try:
        raise RuntimeError("what\nhappened")
    except RuntimeError:
        logging.getLogger("modelkit.x").exception("it failed", extra=logs.fields(a="b c", d="é"))
    text = capsys.readouterr().err
    if form == "json":
        entry = json.loads(text)
        assert (entry["message"], entry["request_id"], entry["a"]) == ("it failed", "seven", "b c")
        assert "RuntimeError: what" in entry["exception"]
    else:
        head, *trace = text.splitlines()
        assert head.endswith(' ERROR it failed a="b c" d="\\u00e9" request_id=seven')
        assert trace[-2:] == ["RuntimeError: what", "happened"]


@pytest.mark.usefixtures("_settings_of_logging")
def test_an_unknown_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELKIT_LOG_FORMAT", "xml")
    with pytest.raises(UsageError, match="MODELKIT_LOG_FORMAT: 'xml' is no format"):
        logs.configure()
